#include "postgres/pending_restart.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pgkeel::postgres {
namespace {

std::vector<SettingRow> running() {
    return {
        {"max_connections", "100", "", "integer", "postmaster", false, "100"},
        {"shared_buffers", "16384", "8kB", "integer", "postmaster", false, "1024"},
        {"wal_buffers", "512", "8kB", "integer", "postmaster", false, "-1"},
        {"wal_segment_size", "16777216", "B", "integer", "internal", false, "16777216"},
        {"hot_standby", "on", "", "bool", "postmaster", false, "on"},
        {"wal_log_hints", "on", "", "bool", "postmaster", false, "off"},
        {"work_mem", "4096", "kB", "integer", "user", false, "4096"},
        {"huge_pages", "try", "", "enum", "postmaster", false, "try"},
        {"primary_conninfo", "host=a port=1", "", "string", "sighup", false, ""},
    };
}

Parameters wanting(ParameterMap file) {
    Parameters wanted;
    wanted.file = std::move(file);
    return wanted;
}

TEST(pending_restart, equal_values_in_other_units_are_no_change) {
    EXPECT_TRUE(pending_restart_reason(wanting({{"max_connections", "100"},
                                                {"shared_buffers", "128MB"},
                                                {"wal_log_hints", "true"},
                                                {"huge_pages", "TRY"}}),
                                       running())
                    .empty());
}

TEST(pending_restart, a_changed_parameter_is_named_with_both_values_as_people_write_them) {
    EXPECT_EQ(pending_restart_reason(wanting({{"max_connections", "101"}, {"shared_buffers", "65536kB"}}), running()),
              json::parse(R"({"max_connections":{"old_value":"100","new_value":"101"},
                              "shared_buffers":{"old_value":"128MB","new_value":"64MB"}})")
                  .as_object());
}

TEST(pending_restart, what_a_reload_changes_needs_no_restart) {
    EXPECT_TRUE(pending_restart_reason(wanting({{"work_mem", "8MB"}}), running()).empty());
    EXPECT_TRUE(reload_needed(wanting({{"work_mem", "8MB"}}), running()));
    EXPECT_FALSE(reload_needed(wanting({{"work_mem", "4MB"}, {"max_connections", "101"}}), running()));
}

TEST(pending_restart, the_agents_own_doing_is_not_reported) {
    EXPECT_TRUE(pending_restart_reason(wanting({{"hot_standby", "off"}}), running()).empty());
}

TEST(pending_restart, automatic_wal_buffers_are_what_postgresql_makes_of_them) {
    EXPECT_TRUE(pending_restart_reason(wanting({{"wal_buffers", "-1"}}), running()).empty());
    EXPECT_EQ(pending_restart_reason(wanting({{"wal_buffers", "1MB"}}), running()).size(), 1U);
    auto rows = running();
    rows[2].setting = "64";
    EXPECT_EQ(pending_restart_reason(wanting({{"wal_buffers", "-1"}}), rows).size(), 1U);
}

TEST(pending_restart, a_change_that_came_past_the_agent_is_reported_too) {
    auto rows = running();
    rows[0].pending_restart = true;
    EXPECT_EQ(pending_restart_reason(wanting({}), rows),
              json::parse(R"({"max_connections":{"old_value":"100","new_value":"?"}})").as_object());
}

TEST(pending_restart, what_the_decrease_rule_holds_up_is_in_it) {
    Parameters wanted = wanting({{"max_connections", "100"}});
    wanted.held_up = json::parse(R"({"max_connections":{"old_value":"100","new_value":"50"}})").as_object();
    EXPECT_EQ(pending_restart_reason(wanted, running()), wanted.held_up);
}

TEST(reload_needed, a_conninfo_in_another_order_is_the_same) {
    Parameters wanted;
    wanted.recovery["primary_conninfo"] = "port=1 host='a'";
    EXPECT_FALSE(reload_needed(wanted, running()));
    wanted.recovery["primary_conninfo"] = "port=1 host=b";
    EXPECT_TRUE(reload_needed(wanted, running()));
}

}  // namespace
}  // namespace pgkeel::postgres
