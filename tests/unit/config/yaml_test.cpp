#include "config/yaml.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::config {
namespace {

namespace json = boost::json;

std::string as_json(std::string_view yaml) {
    const auto value = parse_yaml(yaml, "test.yml");
    return value ? json::serialize(*value) : "error: " + value.error().text;
}

struct Case {
    const char* yaml;
    const char* json;
};

TEST(yaml, reads_plain_words_as_yaml_1_1_does) {
    for (const auto& [yaml, expected] : std::initializer_list<Case>{
             {"yes", "true"},
             {"No", "false"},
             {"on", "true"},
             {"OFF", "false"},
             {"true", "true"},
             {"oN", "\"oN\""},
             {"y", "\"y\""},
             {"~", "null"},
             {"null", "null"},
             {"", "null"},
             {"0", "0"},
             {"10", "10"},
             {"010", "8"},
             {"0644", "420"},
             {"08", "\"08\""},
             {"0x1F", "31"},
             {"0b101", "5"},
             {"-7", "-7"},
             {"+7", "7"},
             {"1_000", "1000"},
             {"1:30", "90"},
             {"0o17", "\"0o17\""},
             {"1.5", "1.5E0"},
             {"-.5", "\"-.5\""},
             {".5", "5E-1"},
             {"1e3", "\"1e3\""},
             {"1.0e+3", "1E3"},
             {"1.0e3", "\"1.0e3\""},
             {".inf", "\".inf\""},
             {"1.2.3", "\"1.2.3\""},
             {"1-2", "\"1-2\""},
             {"2026-01-02", "\"2026-01-02\""},
             {"a b", "\"a b\""},
             {"9223372036854775808", "9223372036854775808"},
             {"99999999999999999999", "\"99999999999999999999\""},
             {"-9223372036854775808", "-9223372036854775808"},
             {"127.0.0.1:8008", "\"127.0.0.1:8008\""},
         })
        EXPECT_EQ(as_json(yaml), expected) << yaml;
}

TEST(yaml, quoted_and_tagged_words_keep_their_kind) {
    EXPECT_EQ(as_json("a: 'yes'\nb: \"010\"\nc: !!str 010\nd: !!float 3\ne: ''\n"),
              R"({"a":"yes","b":"010","c":"010","d":3E0,"e":""})");
    EXPECT_EQ(as_json("a: |\n  yes\n"), R"({"a":"yes\n"})");
    EXPECT_EQ(as_json("!!int x"), "error: test.yml:1:1: the value does not fit its tag tag:yaml.org,2002:int");
    EXPECT_EQ(as_json("- !python/object:os.system x").substr(0, 20), "error: test.yml:1:3:");
}

TEST(yaml, every_escape_becomes_utf_8) {
    EXPECT_EQ(as_json(R"("\N\_\L\P\x85\u00e9\e\0")"),
              "\"\xc2\x85\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xc3\xa9\\u001b\\u0000\"");
}

TEST(yaml, keys_are_text) {
    EXPECT_EQ(as_json("on: 1\n2: 2\n~: 3\n"), R"({"on":1,"2":2,"null":3})");
}

TEST(yaml, merges_maps_where_the_own_keys_win) {
    EXPECT_EQ(as_json("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  z: 3\nd: {<<: *b}\n"),
              R"({"a":{"x":1,"y":1},"b":{"y":2,"z":2},"c":{"x":1,"y":1,"z":3},"d":{"y":2,"z":2}})");
    EXPECT_EQ(as_json("a: {<<: 1}"), "error: test.yml:1:9: '<<' wants a map or a list of maps");
    EXPECT_EQ(as_json("a: {'<<': 1}"), R"({"a":{"<<":1}})");
}

TEST(yaml, a_duplicate_key_is_an_error_that_says_where) {
    EXPECT_EQ(as_json("restapi:\n  listen: a\n  listen: b\n"), "error: test.yml:3:3: duplicate key 'listen'");
    EXPECT_EQ(as_json("a: 1\na: 2"), "error: test.yml:2:1: duplicate key 'a'");
}

TEST(yaml, syntax_errors_say_where) {
    EXPECT_EQ(as_json("a: 1\n b: 2\n").substr(0, 18), "error: test.yml:2:");
    EXPECT_EQ(as_json("a: [1, 2\n").substr(0, 16), "error: test.yml:");
    EXPECT_EQ(as_json("a: [1, 2\n").find(":0:"), std::string::npos);
    EXPECT_EQ(as_json("a: 1\n---\nb: 2\n").substr(0, 18), "error: test.yml:2:");
    EXPECT_EQ(as_json("a: *nowhere").substr(0, 18), "error: test.yml:1:");
    EXPECT_EQ(as_json("? [a, b]\n: c").substr(0, 18), "error: test.yml:1:");
}

TEST(yaml, a_quote_that_is_never_closed_does_not_swallow_the_rest) {
    for (const char* text : {"a: 'x\nb: 1\n", "a: \"x\nb: 1\n", "- 'it''s\n", "- 'it''\n", "- \"a\\\"\n"})
        EXPECT_NE(as_json(text).find("the quote is never closed"), std::string::npos) << text;
    for (const char* text : {"- 'it''s", "- \"a\\\"", "'", "\""})
        EXPECT_EQ(as_json(text).substr(0, 6), "error:") << text;
    EXPECT_EQ(as_json("\xef\xbb\xbf# \xc3\xa9\r\n- 'it''s'\r\n- \"a\\\"\""), R"(["it's","a\""])");
    EXPECT_EQ(as_json("a: ''\n# that's all"), R"({"a":""})");
}

TEST(yaml, only_utf_8_is_text) {
    EXPECT_EQ(as_json("a: \xff"), "error: test.yml: is not text in UTF-8");
    EXPECT_EQ(as_json(std::string_view("a: \0", 4)), "error: test.yml: is not text in UTF-8");
}

TEST(yaml, an_error_does_not_repeat_the_value) {
    for (const char* text : {"password: [s3cret\n", "password: 's3cret\n", "password: !!int s3cret\n",
                             "password: s3cret: x\n", "password: s3cret\npassword: s3cret\n"})
        EXPECT_EQ(as_json(text).find("s3cret"), std::string::npos) << as_json(text);
}

TEST(yaml, depth_and_size_have_limits) {
    EXPECT_EQ(as_json(std::string(64, '[') + std::string(64, ']')).substr(0, 5), "[[[[[");
    EXPECT_NE(as_json(std::string(65, '[') + std::string(65, ']')).find("nested deeper than 64"), std::string::npos);
    EXPECT_EQ(as_json(std::string(200'000, '[')).substr(0, 6), "error:");
    std::string dashes;
    for (int i = 0; i < 2000; ++i) dashes += "- ";
    EXPECT_NE(as_json(dashes).find("nested deeper than 64"), std::string::npos);
    EXPECT_NE(as_json(std::string(2'000'000, 'x')).find("more than 1048576"), std::string::npos);
}

TEST(yaml, aliases_cannot_multiply_without_end) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        bomb += fmt::format("a{0}: &a{0} [", i);
        for (int j = 0; j < 10; ++j) bomb += fmt::format("*a{}, ", i - 1);
        bomb += "]\n";
    }
    EXPECT_NE(as_json(bomb).find("more than 200000 values"), std::string::npos);
    EXPECT_NE(as_json("a: &a [*a]").find("inside what it names"), std::string::npos);
}

TEST(yaml, tells_where_each_key_stands) {
    Places places;
    ASSERT_TRUE(parse_yaml("restapi:\n  listen: x\ntags: {a: [1, {b: 2}]}\n", "p.yml", &places));
    EXPECT_EQ(places["restapi"], "p.yml:1:1");
    EXPECT_EQ(places["restapi.listen"], "p.yml:2:3");
    EXPECT_EQ(places["tags.a[1].b"], "p.yml:3:16");
}

TEST(yaml, prints_for_people) {
    const auto value =
        json::parse(R"({"ttl":30,"postgresql":{"parameters":{"max_connections":100,"wal_level":"replica","log":"on"},
        "pg_hba":["host all all 0.0.0.0/0 md5","local all all trust"]},"slots":{},"list":[],"nested":[{"a":1,"b":[1,2]},[3,[4]]],
        "nothing":null,"text":"a: b","number":"010","quote":"it's","lines":"a\nb","float":1e20})");
    EXPECT_EQ(to_yaml(value), R"(ttl: 30
postgresql:
  parameters:
    max_connections: 100
    wal_level: replica
    log: 'on'
  pg_hba:
  - host all all 0.0.0.0/0 md5
  - local all all trust
slots: {}
list: []
nested:
- a: 1
  b:
  - 1
  - 2
- - 3
  - - 4
nothing: null
text: 'a: b'
number: '010'
quote: it's
lines: "a\nb"
float: 1.0e+20
)");
}

TEST(yaml, what_is_printed_reads_back_the_same) {
    for (const char* text : {"",
                             " ",
                             "a ",
                             " a",
                             "yes",
                             "~",
                             "-",
                             "- a",
                             "?",
                             ":",
                             "a:",
                             "a: b",
                             "a #b",
                             "#",
                             "'",
                             "\"",
                             "\\",
                             "\t",
                             "a\tb",
                             "\n",
                             "a\n",
                             "\x01",
                             "\x7f",
                             "%",
                             "@",
                             "`",
                             "*a",
                             "&a",
                             "!a",
                             "|",
                             ">",
                             "---",
                             "...",
                             "--- a",
                             "<<",
                             "=",
                             "{",
                             "}",
                             "[",
                             "]",
                             ",",
                             "1:30",
                             "2026-01-02",
                             "1e3",
                             ".5",
                             "+1",
                             "\xc3\xa9",
                             "\xc2\x85",
                             "\xe2\x80\xa8",
                             "\xe2\x80\xa9",
                             "\xef\xbb\xbf",
                             "\xf0\x9f\x90\x98",
                             "a\xc2\xa0",
                             "null",
                             "Null",
                             "nan",
                             ".nan",
                             "0x",
                             "0b",
                             "_",
                             "1_",
                             "a, b",
                             "x]",
                             "x}",
                             "a'b\"c",
                             "a\r\nb",
                             "\r"}) {
        json::object map{{"key", text}, {text, 1}, {"list", json::array{text, json::array{text}}}};
        const auto back = parse_yaml(to_yaml(map), "back");
        ASSERT_TRUE(back) << back.error().text << "\n" << to_yaml(map);
        EXPECT_EQ(*back, json::value(map)) << to_yaml(map);
        const auto alone = parse_yaml(to_yaml(json::string(text)), "back");
        ASSERT_TRUE(alone) << alone.error().text << "\n" << to_yaml(json::string(text));
        EXPECT_EQ(*alone, json::value(text)) << to_yaml(json::string(text));
    }
}

}  // namespace
}  // namespace pgkeel::config
