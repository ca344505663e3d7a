#include "cli/config_change.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

namespace json = boost::json;

json::object object(const char* text) {
    return json::parse(text).as_object();
}

std::string set(const char* config, std::vector<std::string> settings) {
    ConfigChange change;
    for (const std::string& setting : settings) change.settings.push_back(parse_setting(setting).value());
    return json::serialize(change.apply_to(object(config)));
}

TEST(config_change, values_are_yaml) {
    EXPECT_EQ(set("{}", {"ttl=20", "synchronous_mode=on", "a.b = text", "list=[1, 2]"}),
              R"({"ttl":20,"synchronous_mode":true,"a":{"b":"text"},"list":[1,2]})");
}

TEST(config_change, null_removes_a_key_and_what_becomes_empty_by_it) {
    EXPECT_EQ(set(R"({"ttl":20,"slots":{"a":{"type":"physical"}}})", {"slots.a.type=null"}), R"({"ttl":20})");
    EXPECT_EQ(set(R"({"ttl":20})", {"loop_wait=null"}), R"({"ttl":20})");
}

TEST(config_change, names_of_parameters_may_hold_dots) {
    EXPECT_EQ(set("{}", {"postgresql.parameters.auto_explain.log_min_duration=1s"}),
              R"({"postgresql":{"parameters":{"auto_explain.log_min_duration":"1s"}}})");
    EXPECT_EQ(set(R"({"postgresql":{"parameters":{"a.b":"1"}}})", {"postgresql.parameters.a.b=null"}), "{}");
}

TEST(config_change, a_patch_keeps_what_it_does_not_name) {
    ConfigChange change;
    change.patch = object(R"({"ttl":null,"postgresql":{"use_slots":false}})");
    EXPECT_EQ(json::serialize(change.apply_to(object(R"({"ttl":20,"postgresql":{"use_pg_rewind":true}})"))),
              R"({"postgresql":{"use_pg_rewind":true,"use_slots":false}})");
}

TEST(config_change, replacement_comes_first) {
    ConfigChange change;
    change.replacement = object(R"({"ttl":10})");
    change.settings.push_back(parse_setting("loop_wait=3").value());
    EXPECT_EQ(json::serialize(change.apply_to(object(R"({"ttl":20,"pause":true})"))), R"({"ttl":10,"loop_wait":3})");
}

TEST(config_change, difference_leads_from_one_to_the_other) {
    const auto before = object(R"({"ttl":20,"pause":true,"postgresql":{"parameters":{"a":"1","b":"2"}}})");
    const auto after = object(R"({"ttl":25,"postgresql":{"parameters":{"a":"1","c":"3"}}})");
    ConfigChange change;
    change.patch = difference(before, after);
    EXPECT_EQ(change.apply_to(before), after);
    EXPECT_EQ(json::serialize(difference(before, before)), "{}");
}

TEST(config_change, what_is_no_setting_is_refused) {
    for (const char* text : {"ttl", "=20", "a..b=1", ".a=1", "a.=1", "a=[1"})
        EXPECT_EQ(parse_setting(text).error().code, Errc::invalid_input) << text;
}

TEST(config_change, a_configuration_is_a_mapping) {
    EXPECT_TRUE(parse_config_text("ttl: 20\n", "x.yml").has_value());
    EXPECT_NE(parse_config_text("- ttl\n", "x.yml").error().text.find("x.yml"), std::string::npos);
}

}  // namespace
}  // namespace pgkeel::cli
