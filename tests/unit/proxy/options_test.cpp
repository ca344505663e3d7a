#include "proxy/options.hpp"

#include "base/version.hpp"
#include "proxy/process_log.hpp"

#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

config::PoolerConfig read(const std::string& settings) {
    auto reading = config::read_pooler_ini("[databases]\n* =\n[pgbouncer]\n" + settings, "p.ini",
                                           [](const std::string& path) { return fail(Errc::io_error, path); });
    EXPECT_TRUE(reading.errors.empty());
    return std::move(reading.config);
}

TEST(options, version_line_names_the_program_and_its_version) {
    EXPECT_EQ(version_line(), std::string("pgkeel ") + version());
}

TEST(options, the_user_of_the_command_line_counts_more_than_the_files) {
    auto config = read("user = somebody\n");
    EXPECT_TRUE(apply_options({.user = "postgres"}, config));
    EXPECT_EQ(config.settings.user, "postgres");
    config = read("user = somebody\n");
    EXPECT_TRUE(apply_options({}, config));
    EXPECT_EQ(config.settings.user, "somebody");
}

TEST(options, settings_of_the_command_line_count_more_than_the_files) {
    auto config = read("threads = 2\n");
    EXPECT_TRUE(apply_options({.settings = {"threads=4", "pool_mode=statement"}}, config));
    EXPECT_EQ(config.settings.threads, 4);
    EXPECT_EQ(config.settings.pool_mode, config::PoolMode::statement);
    EXPECT_FALSE(apply_options({.settings = {"threads"}}, config));
    EXPECT_FALSE(apply_options({.settings = {"thread=4"}}, config));
}

TEST(options, verbose_of_the_file_counts_more_than_the_command_lines) {
    auto config = read("verbose = 0\n");
    EXPECT_TRUE(apply_options({.verbose = 2}, config));
    EXPECT_EQ(config.settings.verbose, 0);
    config = read("");
    EXPECT_TRUE(apply_options({.verbose = 2}, config));
    EXPECT_EQ(config.settings.verbose, 2);
}

TEST(log_options, standard_error_is_used_unless_quiet_or_in_the_background) {
    const auto config = read("logfile = /tmp/x.log\n");
    EXPECT_TRUE(log_options(config.settings, {})->to_standard_error);
    EXPECT_FALSE(log_options(config.settings, {.quiet = true})->to_standard_error);
    EXPECT_FALSE(log_options(config.settings, {.daemon = true})->to_standard_error);
    EXPECT_EQ(log_options(config.settings, {})->file, "/tmp/x.log");
}

TEST(log_options, an_ini_has_pgbouncers_lines_unless_it_says_otherwise) {
    EXPECT_TRUE(log_options(read("").settings, {})->as_pgbouncer);
    EXPECT_FALSE(log_options(read("log_format = pgkeel\n").settings, {})->as_pgbouncer);
}

TEST(log_options, syslog_has_a_facility_and_a_name) {
    const auto options = log_options(read("syslog = 1\nsyslog_facility = local3\nsyslog_ident = shop\n").settings, {});
    ASSERT_TRUE(options && options->syslog);
    EXPECT_EQ(options->syslog->facility, 19 << 3);
    EXPECT_EQ(options->syslog->ident, "shop");
    EXPECT_FALSE(log_options(read("").settings, {})->syslog);
    const auto wrong = log_options(read("syslog = 1\nsyslog_facility = locale3\n").settings, {});
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().text.find("'locale3'"), std::string::npos);
}

}  // namespace
}  // namespace pgkeel::proxy
