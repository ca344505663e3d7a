#include "postgres/guc.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pgkeel::postgres {
namespace {

struct Outcome {
    std::optional<std::string> value;
    std::vector<std::string> warnings;
};
Outcome validated(std::string_view name, std::string_view value) {
    Outcome outcome;
    outcome.value = valid_guc(name, value, outcome.warnings);
    return outcome;
}

TEST(guc, names_are_found_in_any_case_and_spelt_as_postgresql_does) {
    ASSERT_NE(find_guc("datestyle"), nullptr);
    EXPECT_EQ(find_guc("datestyle")->name, "DateStyle");
    EXPECT_EQ(find_guc("MAX_CONNECTIONS")->context, GucContext::postmaster);
    EXPECT_EQ(find_guc("wal_keep_segments"), nullptr);
}

TEST(guc, a_good_value_stays_as_it_was_written) {
    for (const auto& [name, value] : {std::pair{"shared_buffers", "128MB"},
                                      {"work_mem", "4096"},
                                      {"fsync", "yes"},
                                      {"archive_command", "cp %p /x/%f"},
                                      {"autovacuum_vacuum_scale_factor", "0.05"},
                                      {"max_standby_streaming_delay", "-1"},
                                      {"checkpoint_timeout", "5min"}}) {
        const Outcome outcome = validated(name, value);
        EXPECT_EQ(outcome.value, value) << name;
        EXPECT_TRUE(outcome.warnings.empty()) << name;
    }
}

TEST(guc, an_unknown_name_is_dropped_with_a_warning_unless_it_belongs_to_an_extension) {
    EXPECT_FALSE(validated("not_a_parameter", "1").value);
    EXPECT_EQ(validated("not_a_parameter", "1").warnings.size(), 1U);
    EXPECT_EQ(validated("pg_stat_statements.max", "1000").value, "1000");
    EXPECT_TRUE(validated("pg_stat_statements.max", "1000").warnings.empty());
}

TEST(guc, a_name_that_would_break_the_file_is_dropped) {
    for (const char* name : {"a.b.c", ".a", "a.", "a b.c", "1a.b", "include", "a.b'\nfsync=off"})
        EXPECT_FALSE(validated(name, "x").value) << name;
}

TEST(guc, a_wrong_enumeration_value_or_boolean_is_dropped) {
    EXPECT_FALSE(validated("wal_level", "everything").value);
    EXPECT_FALSE(validated("fsync", "maybe").value);
    EXPECT_FALSE(validated("fsync", "o").value) << "on and off begin so";
    EXPECT_EQ(validated("synchronous_commit", "REMOTE_APPLY").value, "remote_apply");
    EXPECT_EQ(validated("wal_level", "hot_standby").value, "hot_standby") << "the server knows it under the old name";
}

TEST(guc, numbers_outside_their_range_are_clamped_and_said) {
    const Outcome high = validated("max_connections", "99999999");
    EXPECT_EQ(high.value, "262143");
    EXPECT_EQ(high.warnings.size(), 1U);
    EXPECT_EQ(validated("checkpoint_timeout", "1s").value, "30");
    EXPECT_EQ(validated("autovacuum_vacuum_scale_factor", "200").value, "100");
    EXPECT_FALSE(validated("work_mem", "a lot").value);
}

TEST(guc, what_the_server_computes_cannot_be_set) {
    EXPECT_FALSE(validated("block_size", "8192").value);
    EXPECT_FALSE(validated("server_version", "15").value);
}

TEST(guc, a_zero_byte_is_refused) {
    EXPECT_FALSE(validated("log_line_prefix", std::string_view("a\0b", 3)).value);
}

TEST(guc, json_values_become_text_as_people_write_it) {
    EXPECT_EQ(guc_text(json::parse("true")), "on");
    EXPECT_EQ(guc_text(json::parse("100")), "100");
    EXPECT_EQ(guc_text(json::parse("0.05")), "0.05");
    EXPECT_EQ(guc_text(json::parse("\"a\"")), "a");
    EXPECT_EQ(guc_text(json::parse("1e3")), "1000");
}

TEST(guc, values_are_equal_across_units_and_spellings) {
    const auto same = [](const char* name, const char* a, const char* b) { return same_guc(*find_guc(name), a, b); };
    EXPECT_TRUE(same("shared_buffers", "16384", "128MB"));
    EXPECT_TRUE(same("wal_retrieve_retry_interval", "5000", "5s"));
    EXPECT_TRUE(same("fsync", "on", "true"));
    EXPECT_TRUE(same("unix_socket_permissions", "0777", "511"));
    EXPECT_TRUE(same("wal_level", "replica", "hot_standby"));
    EXPECT_TRUE(same("random_page_cost", "4", "4.0"));
    EXPECT_TRUE(same("huge_pages", "on", "yes"));
    EXPECT_FALSE(same("shared_buffers", "16384", "64MB"));
    EXPECT_FALSE(same("fsync", "on", "off"));
    EXPECT_FALSE(same("log_line_prefix", "A", "a"));
    EXPECT_FALSE(same("max_connections", "100", "many"));
}

TEST(guc, quotes_keep_any_text_on_one_line) {
    EXPECT_EQ(quote_guc("it's"), "'it''s'");
    EXPECT_EQ(quote_guc("a\\b"), R"('a\\b')");
    EXPECT_EQ(quote_guc("a\nfsync=off"), R"('a\nfsync=off')");
}

TEST(guc, commands_and_libraries_are_told_from_the_rest) {
    EXPECT_TRUE(guc_runs_code("Archive_Command"));
    EXPECT_TRUE(guc_runs_code("shared_preload_libraries"));
    EXPECT_FALSE(guc_runs_code("archive_mode"));
}

}  // namespace
}  // namespace pgkeel::postgres
