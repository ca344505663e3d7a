#include "log/log.hpp"
#include "log/pgbouncer_line.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

// What the proxy wants of the log, beside what the agent does.

namespace pgkeel::log {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

struct TimeZone {
    explicit TimeZone(const char* name) {
        setenv("TZ", name, 1);
        tzset();
    }
    ~TimeZone() {
        unsetenv("TZ");
        tzset();
    }
};

class ProxyLog : public testing::Test {
  protected:
    ProxyLog() {
        char name[] = "/tmp/pgkeel-log-XXXXXX";
        directory_ = mkdtemp(name);
        options_.as_pgbouncer = true;
        options_.to_standard_error = false;
        options_.file = file();
    }
    ~ProxyLog() override {
        EXPECT_TRUE(configure(Options{}));
        EXPECT_TRUE(flush());
        fs::remove_all(directory_);
    }
    fs::path file() const { return directory_ / "proxy.log"; }

    fs::path directory_;
    Options options_;
};

TEST(pgbouncer_line, has_milliseconds_zone_process_and_pgbouncers_word) {
    Record record;
    record.message = "hello";
    record.time = WallTime(std::chrono::milliseconds(1795257020007));
    const TimeZone utc("UTC");
    const auto line = [&record](Level level) {
        record.level = level;
        return pgbouncer_line(record);
    };
    const std::string start = fmt::format("2026-11-21 10:30:20.007 UTC [{}] ", getpid());
    EXPECT_EQ(line(Level::info), start + "LOG hello\n");
    EXPECT_EQ(line(Level::debug), start + "DEBUG hello\n");
    EXPECT_EQ(line(Level::warning), start + "WARNING hello\n");
    EXPECT_EQ(line(Level::error), start + "ERROR hello\n");
    EXPECT_EQ(line(Level::critical), start + "FATAL hello\n");
}

TEST(pgbouncer_line, tells_local_time) {
    Record record;
    record.time = WallTime(std::chrono::milliseconds(1795257020007));
    const TimeZone east("EAST-5:30");
    EXPECT_TRUE(pgbouncer_line(record).starts_with("2026-11-21 16:00:20.007 EAST ["));
}

TEST_F(ProxyLog, lines_go_to_the_file_and_a_line_feed_makes_no_second_line) {
    ASSERT_TRUE(configure(options_));
    info("user {}", "x\nFATAL no");
    ASSERT_TRUE(flush());
    EXPECT_TRUE(std::regex_match(read(file()),
                                 std::regex(R"([-0-9]+ [:0-9]+\.[0-9]{3} \S+ \[[0-9]+\] LOG user x\\nFATAL no\n)")))
        << read(file());
}

TEST_F(ProxyLog, a_file_that_was_renamed_is_left_behind_by_reopen) {
    ASSERT_TRUE(configure(options_));
    info("one");
    ASSERT_TRUE(flush());
    fs::rename(file(), directory_ / "proxy.log.1");
    info("two");
    ASSERT_TRUE(reopen());
    info("three");
    ASSERT_TRUE(flush());
    const std::string old = read(directory_ / "proxy.log.1");
    EXPECT_NE(old.find("one\n"), std::string::npos);
    EXPECT_NE(old.find("two\n"), std::string::npos) << "a line that waited belongs to the file that was open";
    EXPECT_TRUE(read(file()).ends_with("LOG three\n"));
    EXPECT_EQ(read(file()).find("two"), std::string::npos);
}

TEST_F(ProxyLog, a_reopen_that_fails_leaves_the_log_open) {
    ASSERT_TRUE(configure(options_));
    fs::rename(directory_, directory_.string() + ".moved");
    const auto result = reopen();
    info("still here");
    EXPECT_TRUE(flush());
    fs::rename(directory_.string() + ".moved", directory_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::io_error);
    EXPECT_TRUE(read(file()).ends_with("still here\n"));
}

TEST_F(ProxyLog, the_file_keeps_the_mode_it_has) {
    std::ofstream(file()) << "before\n";
    ASSERT_EQ(chmod(file().c_str(), 0640), 0);
    ASSERT_TRUE(configure(options_));
    info("after");
    ASSERT_TRUE(flush());
    struct stat status{};
    ASSERT_EQ(stat(file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
    EXPECT_TRUE(read(file()).starts_with("before\n"));
}

TEST_F(ProxyLog, verbosity_opens_and_closes_debug_lines) {
    ASSERT_TRUE(configure(options_));
    EXPECT_EQ(verbosity(), 0);
    debug("hidden");
    set_verbosity(2);
    EXPECT_EQ(verbosity(), 2);
    debug("shown");
    ASSERT_TRUE(reopen());
    EXPECT_EQ(verbosity(), 2) << "a reopened file is no new configuration";
    set_verbosity(0);
    debug("hidden again");
    ASSERT_TRUE(flush());
    EXPECT_NE(read(file()).find("DEBUG shown"), std::string::npos);
    EXPECT_EQ(read(file()).find("hidden"), std::string::npos);
}

TEST(syslog_facilities, are_known_by_name) {
    EXPECT_EQ(syslog_facility("daemon"), 3 << 3);  // RFC 5424, section 6.2.1
    EXPECT_EQ(syslog_facility("local7"), 23 << 3);
    EXPECT_EQ(syslog_facility("demon").error().code, Errc::invalid_input);
}

}  // namespace
}  // namespace pgkeel::log
