#include "config/dynamic_config.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

namespace pgkeel::config {
namespace {

using std::chrono::seconds;

json::object object(std::string_view text) {
    return json::parse(text).as_object();
}

struct Settings {
    ClusterSettings values;
    std::vector<std::string> warnings;
};
Settings settings(std::string_view text, bool patroni_members = false) {
    Settings out;
    out.values = settings_of(object(text), patroni_members, out.warnings);
    return out;
}

TEST(merge_patch, deletes_goes_deeper_and_replaces) {
    json::object target = object(R"({"ttl":30,"a":{"b":1,"c":2},"list":[1,2]})");
    EXPECT_TRUE(merge_patch(target, object(R"({"ttl":20,"a":{"b":null,"d":4},"new":{"x":1,"y":null}})")));
    EXPECT_EQ(json::value(target), json::parse(R"({"ttl":20,"a":{"c":2,"d":4},"list":[1,2],"new":{"x":1}})"));
    EXPECT_TRUE(merge_patch(target, object(R"({"a":7,"list":[1]})")));
    EXPECT_TRUE(merge_patch(target, object(R"({"a":{"e":5}})")));
    EXPECT_EQ(json::value(target), json::parse(R"({"ttl":20,"a":{"e":5},"list":[1],"new":{"x":1}})"));
}

TEST(merge_patch, keeps_slots_that_are_but_a_name) {
    json::object target;
    EXPECT_TRUE(merge_patch(target, object(R"({"slots":{"mine":null,"gone":null},"other":{"x":null}})")));
    EXPECT_EQ(json::serialize(target), R"({"slots":{"mine":null,"gone":null},"other":{}})");
    std::vector<std::string> warnings;
    EXPECT_TRUE(settings_of(target, false, warnings).permanent_slots.at("mine").physical);
    EXPECT_TRUE(merge_patch(target, object(R"({"slots":{"gone":null}})")));
    EXPECT_EQ(json::serialize(target), R"({"slots":{"mine":null},"other":{}})");
}

TEST(merge_patch, says_when_nothing_changed) {
    json::object target = object(R"({"ttl":30,"a":{"b":"1"},"on":true,"list":[1]})");
    const json::object before = target;
    EXPECT_FALSE(merge_patch(target, object(R"({"ttl":"30","a":{"b":1,"gone":null},"absent":null,"list":[1]})")));
    EXPECT_EQ(target, before);
    EXPECT_FALSE(merge_patch(target, {}));
    EXPECT_TRUE(merge_patch(target, object(R"({"list":["1"]})")));
}

TEST(deep_equal, compares_leaves_as_text) {
    const auto equal = [](const char* a, const char* b) { return deep_equal(json::parse(a), json::parse(b)); };
    EXPECT_TRUE(equal(R"({"a":1,"b":{"c":"x"}})", R"({"b":{"c":"x"},"a":"1"})"));
    EXPECT_TRUE(equal("[1,2]", "[1,2]"));
    EXPECT_FALSE(equal(R"({"a":1})", R"({"a":1,"b":null})"));
    EXPECT_FALSE(equal(R"({"a":{}})", R"({"a":null})"));
    EXPECT_FALSE(equal(R"({"a":1})", R"({"a":2})"));
    EXPECT_FALSE(equal("[1,2]", "[2,1]"));
    EXPECT_FALSE(equal(R"({"a":{"b":1}})", R"({"a":"b"})"));
    EXPECT_FALSE(equal("null", "\"null\""));
}

TEST(parse_bool, knows_postgresqls_words) {
    for (const char* yes : {"true", "1", "\"on\"", "\"YES\"", "\"True\"", "\"1\""})
        EXPECT_EQ(parse_bool(json::parse(yes)), true) << yes;
    for (const char* no : {"false", "0", "\"off\"", "\"No\"", "\"FALSE\"", "\"0\""})
        EXPECT_EQ(parse_bool(json::parse(no)), false) << no;
    for (const char* neither :
         {"2", "-1", "1.0", "\"\"", "\"tru\"", "null", "[]", "{}", "\"quorum\"", "18446744073709551615"})
        EXPECT_EQ(parse_bool(json::parse(neither)), std::nullopt) << neither;
}

TEST(parse_with_unit, reads_as_postgresql_does) {
    EXPECT_EQ(parse_with_unit("1", "kB"), 1);
    EXPECT_EQ(parse_with_unit("1MB", "kB"), 1024);
    EXPECT_EQ(parse_with_unit(" 0x400 MB ", "16384kB"), 64);
    EXPECT_EQ(parse_with_unit("6GB", "16MB"), 384);
    EXPECT_EQ(parse_with_unit("128MB", "8kB"), 16384);
    EXPECT_EQ(parse_with_unit("010", ""), 8);
    EXPECT_EQ(parse_with_unit("-5", "s"), -5);
    EXPECT_EQ(parse_with_unit("1min", "s"), 60);
    EXPECT_EQ(parse_with_unit("1d", "min"), 1440);
    EXPECT_EQ(parse_with_unit("1500ms", "s"), 1.5);
    EXPECT_EQ(parse_with_unit("0.5h", "s"), 1800);
    EXPECT_EQ(parse_with_unit("1e3", ""), 1000);
    EXPECT_EQ(parse_with_unit("100us", "ms"), 0.1);
    EXPECT_EQ(parse_with_unit("4097.4kB", "kB"), 4195738 / 1024.0);  // rounded to whole bytes
}

TEST(parse_with_unit, refuses_what_is_no_value) {
    for (const char* text :
         {"", " ", "MB", "1mb", "1 KB", "1s2", "0x", "08", "--1", "nan", "inf", "1e999", ".", "1..2", "1MB MB", "+"})
        EXPECT_EQ(parse_with_unit(text, "kB"), std::nullopt) << text;
    EXPECT_EQ(parse_with_unit("1s", "kB"), std::nullopt);
    EXPECT_EQ(parse_with_unit("1MB", ""), std::nullopt);
    EXPECT_EQ(parse_with_unit("1MB", "0kB"), std::nullopt);
}

TEST(settings, are_patronis_when_nothing_is_set) {
    for (const bool patroni_members : {false, true}) {
        const Settings found = settings("{}", patroni_members);
        EXPECT_EQ(found.values, ClusterSettings{});
        EXPECT_TRUE(found.warnings.empty());
    }
}

TEST(settings, are_what_was_stored) {
    const Settings found =
        settings(R"({"ttl":30,"loop_wait":5,"retry_timeout":"8s","maximum_lag_on_failover":"16MB","check_timeline":"on",
        "max_timelines_history":7,"primary_start_timeout":0,"primary_stop_timeout":"1min","primary_race_backoff":6,"member_slots_ttl":"2h",
        "synchronous_mode":"quorum","synchronous_mode_strict":true,"synchronous_node_count":2,"failsafe_mode":true,"pause":true,
        "postgresql":{"use_slots":false,"use_pg_rewind":true}})");
    ClusterSettings expected;
    expected.ttl = seconds(30);
    expected.loop_wait = seconds(5);
    expected.retry_timeout = seconds(8);
    expected.maximum_lag_on_failover_bytes = 16UL << 20;
    expected.check_timeline = true;
    expected.max_timelines_history = 7;
    expected.primary_start_timeout = seconds(0);
    expected.primary_stop_timeout = seconds(60);
    expected.primary_race_backoff = seconds(6);
    expected.member_slots_ttl = seconds(7200);
    expected.synchronous_mode = SynchronousMode::quorum;
    expected.synchronous_mode_strict = true;
    expected.synchronous_node_count = 2;
    expected.failsafe_mode = true;
    expected.pause = true;
    expected.use_slots = false;
    expected.use_pg_rewind = true;
    EXPECT_EQ(found.values, expected);
    EXPECT_TRUE(found.warnings.empty()) << found.warnings.front();
}

TEST(settings, synchronous_mode_comes_in_many_words) {
    const auto mode = [](const char* text) { return settings(text).values.synchronous_mode; };
    EXPECT_EQ(mode(R"({"synchronous_mode":true})"), SynchronousMode::on);
    EXPECT_EQ(mode(R"({"synchronous_mode":"on"})"), SynchronousMode::on);
    EXPECT_EQ(mode(R"({"synchronous_mode":1})"), SynchronousMode::on);
    EXPECT_EQ(mode(R"({"synchronous_mode":"Quorum"})"), SynchronousMode::quorum);
    EXPECT_EQ(mode(R"({"synchronous_mode":"off"})"), SynchronousMode::off);
    EXPECT_EQ(mode(R"({"synchronous_mode":null})"), SynchronousMode::off);
    const Settings wrong = settings(R"({"synchronous_mode":"strict"})");
    EXPECT_EQ(wrong.values.synchronous_mode, SynchronousMode::off);
    EXPECT_EQ(wrong.warnings.size(), 1U);
}

TEST(settings, a_standby_cluster_is_never_synchronous) {
    const Settings found = settings(R"({"standby_cluster":{"host":"10.0.0.1","port":5432},"synchronous_mode":true})");
    EXPECT_TRUE(found.values.standby_cluster);
    EXPECT_EQ(found.values.synchronous_mode, SynchronousMode::off);
    EXPECT_FALSE(settings(R"({"standby_cluster":{"host":"","primary_slot_name":"x"}})").values.standby_cluster);
    EXPECT_TRUE(settings(R"({"standby_cluster":{"restore_command":"cp"}})").values.standby_cluster);
    EXPECT_FALSE(settings(R"({"standby_cluster":null})").values.standby_cluster);
}

TEST(settings, the_older_names_count_only_when_the_newer_are_absent) {
    EXPECT_EQ(settings(R"({"master_start_timeout":0})").values.primary_start_timeout, seconds(0));
    EXPECT_EQ(settings(R"({"master_start_timeout":1,"primary_start_timeout":2})").values.primary_start_timeout,
              seconds(2));
    EXPECT_EQ(settings(R"({"master_stop_timeout":9})").values.primary_stop_timeout, seconds(9));
    const Settings wrong = settings(R"({"master_start_timeout":"soon"})");
    EXPECT_EQ(wrong.values.primary_start_timeout, seconds(300));
    EXPECT_EQ(wrong.warnings.size(), 1U);
}

void expect_timeouts(const Settings& found, int ttl, int loop_wait, int retry_timeout) {
    EXPECT_EQ(found.values.ttl, seconds(ttl));
    EXPECT_EQ(found.values.loop_wait, seconds(loop_wait));
    EXPECT_EQ(found.values.retry_timeout, seconds(retry_timeout));
}

TEST(settings, patronis_clamps_hold_beside_patroni) {
    expect_timeouts(settings(R"({"ttl":5,"loop_wait":0,"retry_timeout":1})", true), 20, 1, 3);
    expect_timeouts(settings(R"({"ttl":20,"loop_wait":10,"retry_timeout":8})", true), 20, 4, 8);
    expect_timeouts(settings(R"({"ttl":20,"loop_wait":10,"retry_timeout":30})", true), 20, 1, 9);
    expect_timeouts(settings(R"({"ttl":30,"loop_wait":10,"retry_timeout":10})", true), 30, 10, 10);
    EXPECT_EQ(settings(R"({"ttl":5,"loop_wait":1,"retry_timeout":3})", true).warnings,
              std::vector<std::string>{"ttl=5 can't be smaller than 20, adjusting..."});
}

TEST(settings, among_ourselves_a_lease_may_be_short) {
    expect_timeouts(settings(R"({"ttl":5,"loop_wait":1,"retry_timeout":3})"), 5, 1, 3);
    expect_timeouts(settings(R"({"ttl":3,"loop_wait":10,"retry_timeout":1})"), 3, 1, 1);
    expect_timeouts(settings(R"({"ttl":1,"loop_wait":0,"retry_timeout":0})"), 3, 1, 1);
    expect_timeouts(settings(R"({"ttl":20,"loop_wait":2,"retry_timeout":10})"), 20, 2, 10);
    expect_timeouts(settings(R"({"ttl":-9223372036854775808})"), 3, 1, 10);
}

TEST(settings, nonsense_costs_a_warning_and_nothing_else) {
    const Settings found = settings(
        R"({"ttl":"soon","loop_wait":[1],"retry_timeout":{"a":1},"maximum_lag_on_failover":-1,"check_timeline":"maybe",
        "max_timelines_history":1e300,"primary_start_timeout":99999999999999999999,"primary_stop_timeout":18446744073709551615,
        "primary_race_backoff":-5,"member_slots_ttl":"1MB","synchronous_mode":[true],"synchronous_mode_strict":"x","synchronous_node_count":0,
        "failsafe_mode":7,"pause":{},"standby_cluster":"yes","postgresql":[1]})");
    EXPECT_EQ(found.values, ClusterSettings{});
    EXPECT_EQ(found.warnings.size(), 15U);
    for (const std::string& warning : found.warnings)
        EXPECT_TRUE(warning.starts_with("dynamic configuration: ")) << warning;
}

TEST(validate_dynamic, names_the_key_the_value_and_what_is_allowed) {
    const auto problem = [](const char* text) {
        const auto valid = validate_dynamic(object(text));
        return valid ? std::string("valid") : valid.error().text;
    };
    EXPECT_EQ(problem(R"({"ttl":2})"), "dynamic configuration: ttl: 2 is not between 3 and 31536000");
    EXPECT_EQ(problem(R"({"ttl":"x"})"), "dynamic configuration: ttl: \"x\" is no whole number");
    EXPECT_EQ(problem(R"({"synchronous_mode":"strict"})"),
              "dynamic configuration: synchronous_mode: \"strict\" is not one of: off on quorum");
    EXPECT_EQ(problem(R"({"pause":"maybe"})"), "dynamic configuration: pause: \"maybe\" is neither true nor false");
    EXPECT_EQ(problem(R"({"synchronous_node_count":0})"),
              "dynamic configuration: synchronous_node_count: 0 is not between 1 and 1000");
    EXPECT_EQ(problem(R"({"postgresql":"x"})"),
              "dynamic configuration: postgresql: is a section of keys, not one value");
    EXPECT_EQ(problem(R"({"postgresql":{"parameters":[1]}})"),
              "dynamic configuration: postgresql.parameters: a list is not a map of keys and values");
}

TEST(validate_dynamic, lets_pass_what_patronis_suite_stores) {
    for (const char* text :
         {R"({"ttl":20,"synchronous_mode":true})", R"({"pause":true,"maximum_lag_on_syncnode":15000000})",
          R"({"maximum_lag_on_syncnode":-1})", R"({"synchronous_mode":null,"master_start_timeout":0})",
          R"({"loop_wait":2,"ttl":20,"retry_timeout":3,"failsafe_mode":true})",
          R"({"slots":{"dcs_slot_1":null,"postgres_0":null}})", R"({"slots":{"test_physical":0,"postgres_3":0}})",
          R"({"ignore_slots":[{"name":"a","type":"logical"}]})",
          R"({"postgresql":{"parameters":{"max_connections":"101"}}})",
          R"({"standby_cluster":{"port":"5432","host":"x"}})", R"({"anything":{"else":1}})"}) {
        const auto valid = validate_dynamic(object(text));
        EXPECT_TRUE(valid) << valid.error().text;
    }
}

TEST(validate_dynamic, offers_the_nearest_key_for_a_misspelt_one) {
    EXPECT_EQ(misspelt_dynamic_keys(object(R"({"tll":20,"my_own_thing":1})")),
              std::vector<std::string>{"dynamic configuration: tll is not a known key, is 'ttl' meant?"});
}

}  // namespace
}  // namespace pgkeel::config
