#include "config/dynamic_config.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

namespace pgkeel::config {
namespace {

struct Read {
    std::vector<std::string> warnings;
    ClusterSettings settings;
    explicit Read(const char* text) : settings(settings_of(boost::json::parse(text).as_object(), false, warnings)) {}
};

TEST(slot_settings, permanent_slots_are_physical_unless_they_say_otherwise) {
    const Read read(R"({"slots": {"a": 0, "b": {"type": "physical", "cluster_type": "standby"}, "c": {},
        "d": {"type": "logical", "database": "app", "plugin": "pgoutput"}, "e": {"database": "app", "plugin": "x"}}})");
    EXPECT_EQ(read.warnings, std::vector<std::string>{});
    EXPECT_EQ(read.settings.permanent_slots,
              (std::map<std::string, PermanentSlot>{{"a", {}},
                                                    {"b", {.cluster_type = "standby"}},
                                                    {"c", {}},
                                                    {"d", {.physical = false, .database = "app", .plugin = "pgoutput"}},
                                                    {"e", {.physical = false, .database = "app", .plugin = "x"}}}));
}

TEST(slot_settings, what_cannot_be_a_slot_is_left_out_and_named) {
    const Read read(R"({"slots": {"Upper": 0, "l": {"type": "logical"}, "t": {"type": "temporary"}, "list": [1],
        "ok": null}})");
    EXPECT_EQ(read.settings.permanent_slots, (std::map<std::string, PermanentSlot>{{"ok", {}}}));
    ASSERT_EQ(read.warnings.size(), 4U);
    EXPECT_EQ(read.warnings[0],
              "dynamic configuration: slots.Upper: a slot's name has lower case letters, digits and _ only, left out");
    EXPECT_EQ(read.warnings[1],
              R"(dynamic configuration: slots.l: {"type":"logical"} is neither a physical slot nor a logical one with )"
              "its database and plugin, left out");
}

TEST(slot_settings, older_names_come_first) {
    const Read read(R"({"slots": {"a": 0}, "permanent_slots": {"b": 0}})");
    EXPECT_TRUE(read.settings.permanent_slots.contains("b"));
    EXPECT_FALSE(read.settings.permanent_slots.contains("a"));
}

TEST(slot_settings, ignored_slots_are_patterns) {
    const Read read(R"({"ignore_slots": [{"name": "a", "type": "logical"}, {"plugin": "x", "database": "d"}, 7]})");
    EXPECT_EQ(read.settings.ignored_slots,
              (std::vector<SlotMatcher>{{.name = "a", .type = "logical"}, {.database = "d", .plugin = "x"}}));
}

TEST(slot_settings, a_standby_cluster_follows_a_primary_or_its_archive) {
    EXPECT_EQ(Read(R"({"standby_cluster": {"host": "db1", "primary_slot_name": "s"}})").settings.remote,
              (RemotePrimary{.host = "db1", .port = "5432", .slot_name = "s"}));
    EXPECT_EQ(Read(R"({"standby_cluster": {"port": 5433}})").settings.remote,
              (RemotePrimary{.host = "localhost", .port = "5433"}));
    const Read archive(R"({"standby_cluster": {"restore_command": "cp"}})");
    EXPECT_TRUE(archive.settings.standby_cluster);
    EXPECT_EQ(archive.settings.remote, RemotePrimary{});
    EXPECT_FALSE(Read(R"({"standby_cluster": {"primary_slot_name": "s"}})").settings.standby_cluster);
}

}  // namespace
}  // namespace pgkeel::config
