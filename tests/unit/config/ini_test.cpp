#include "config/ini.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

namespace pgkeel::config {
namespace {

using Files = std::map<std::string, std::string>;

Ini parse(const std::string& text, const Files& files = {}) {
    return parse_ini(text, "main.ini", [&](const std::string& path) -> Result<std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return fail(Errc::io_error, "cannot read " + path, "does it exist?");
        return found->second;
    });
}

/// "[section] key=value@line;", and the problems behind "!".
std::string told(const Ini& ini) {
    std::string out;
    for (const IniSection& section : ini.sections) {
        out += fmt::format("[{}]", section.name);
        for (const IniEntry& entry : section.entries)
            out += fmt::format(" {}={}@{};", entry.key, entry.value, entry.where);
    }
    for (const Problem& problem : ini.problems) out += fmt::format("! {}: {}", problem.where, problem.text);
    return out;
}

struct Case {
    const char* text;
    const char* expected;
};

class IniText : public testing::TestWithParam<Case> {};

TEST_P(IniText, reads_as_expected) {
    EXPECT_EQ(told(parse(GetParam().text)), GetParam().expected) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    good, IniText,
    testing::Values(Case{"", ""}, Case{"; nothing\n # here\n\n", ""}, Case{"[a]", "[a]"},
                    Case{"[a]\nk=v", "[a] k=v@main.ini:2;"}, Case{"[a]\r\nk = v w \r\n", "[a] k=v w@main.ini:2;"},
                    Case{"[a] ; about a\nk=v", "[a] k=v@main.ini:2;"}, Case{"[a] k=v", "[a] k=v@main.ini:1;"},
                    Case{"  [a]\n\tk\t=\tv", "[a] k=v@main.ini:2;"}, Case{"[a]\nk =", "[a] k=@main.ini:2;"},
                    // Comments begin lines, not the ends of lines.
                    Case{"[a]\nk = v ; w # x", "[a] k=v ; w # x@main.ini:2;"},
                    Case{"[a]\nk = SELECT 'a = b'", "[a] k=SELECT 'a = b'@main.ini:2;"},
                    Case{"[a]\n* = host=h", "[a] *=host=h@main.ini:2;"},
                    Case{"[a]\nx.y-z_0* = 1", "[a] x.y-z_0*=1@main.ini:2;"},
                    Case{"[a]\n\"b c\" = 1", "[a] b c=1@main.ini:2;"}, Case{"[a]\n'b c' = 1", "[a] b c=1@main.ini:2;"},
                    Case{"[a]\n'b''c\"'= 1", "[a] b'c\"=1@main.ini:2;"},
                    Case{"[a]\n\"b \"\"c\"\"=[\" = 1", "[a] b \"c\"=[=1@main.ini:2;"},
                    Case{"[a]\nk=1\n[b]\n[a]\nk=2", "[a] k=1@main.ini:2;[b][a] k=2@main.ini:5;"}));

INSTANTIATE_TEST_SUITE_P(
    bad, IniText,
    testing::Values(
        Case{"k = v", "! main.ini:1: sets k before any section"},
        Case{"\n[a\nk = v", "! main.ini:2: begins a section and has no ]! main.ini:3: sets k before any section"},
        Case{"[a]\nk v", "[a]! main.ini:2: is no section, no `key = value` and no comment"},
        Case{"[a]\nk", "[a]! main.ini:2: is no section, no `key = value` and no comment"},
        Case{"[a]\n= v", "[a]! main.ini:2: has no name that ends before ="},
        Case{"[a]\n\"\" = v", "[a]! main.ini:2: has no name that ends before ="},
        Case{"[a]\n\"k = v", "[a]! main.ini:2: has a name whose quote does not end"},
        Case{"[a]\nk$ = v\nl = w", "[a] l=w@main.ini:3;! main.ini:2: is no section, no `key = value` and no comment"},
        Case{"[a]\n%include", "[a]! main.ini:2: includes no file"},
        Case{"%embed x", "! main.ini:1: begins with % and is no %include"},
        Case{"[a]\n%include no.ini", "[a]! main.ini:2: cannot include: cannot read no.ini"}));

TEST(ini, an_included_file_goes_on_in_the_section_and_leaves_its_own) {
    const Ini ini = parse("[a]\n%include  b.ini \nz = 3\n", {{"b.ini", "x = 1\n[b]\ny = 2\n"}});
    EXPECT_EQ(told(ini), "[a] x=1@b.ini:1;[b] y=2@b.ini:3; z=3@main.ini:3;");
}

TEST(ini, a_problem_behind_an_include_has_its_own_line) {
    EXPECT_EQ(told(parse("[a]\n%include b.ini\nwrong\n", {{"b.ini", "wrong\n"}})),
              "[a]! b.ini:1: is no section, no `key = value` and no comment"
              "! main.ini:3: is no section, no `key = value` and no comment");
}

TEST(ini, includes_in_a_circle_are_a_problem) {
    EXPECT_EQ(told(parse("%include b.ini\n", {{"b.ini", "[b]\n%include main.ini\n"}})),
              "[b]! b.ini:2: includes main.ini, which is being read already");
    EXPECT_EQ(told(parse("%include b.ini\n%include b.ini\n", {{"b.ini", "[b]\n"}})), "[b][b]");
}

TEST(ini, includes_are_ten_deep_at_most) {
    Files files;
    for (int i = 1; i <= 11; ++i) files[fmt::format("{}", i)] = fmt::format("%include {}\n", i + 1);
    files["10"] = "[deep]\n";
    EXPECT_EQ(told(parse("%include 1\n", files)), "[deep]");
    files["10"] = "%include 11\n";
    EXPECT_EQ(told(parse("%include 1\n", files)), "! 10:1: includes 11 more than 10 files deep");
}

TEST(ini, includes_that_multiply_end) {
    Files files;
    for (int i = 0; i < 9; ++i)
        for (int k = 0; k < 10; ++k) files[fmt::format("{}", i)] += fmt::format("%include {}\n", i + 1);
    files["9"] = "";
    const Ini ini = parse("%include 0\n", files);
    ASSERT_FALSE(ini.problems.empty());
    EXPECT_LE(ini.problems.size(), 100U);
}

TEST(ini, a_zero_byte_is_a_problem_of_its_line) {
    EXPECT_EQ(told(parse(std::string("[a]\nk=\0v\nl=w", 12))),
              "[a] l=w@main.ini:3;! main.ini:2: has a zero byte in it");
}

std::string pairs(const std::string& text) {
    const auto read = parse_ini_pairs(text);
    if (!read) return "! " + read.error().text;
    std::string out;
    for (const auto& [key, value] : *read) out += fmt::format("{}<{}>", key, value);
    return out;
}

TEST(ini_pairs, are_read_with_blanks_and_quotes) {
    EXPECT_EQ(pairs(""), "");
    EXPECT_EQ(pairs("  host=h  port = 5432\tuser= u "), "host<h>port<5432>user<u>");
    EXPECT_EQ(pairs("password='it''s = secret' x=a'b"), "password<it's = secret>x<a'b>");
    EXPECT_EQ(pairs("connect_query='SELECT ''a''' k=''"), "connect_query<SELECT 'a'>k<>");
    EXPECT_EQ(pairs("a=b=c"), "a<b=c>");
}

TEST(ini_pairs, errors_count_pairs_and_show_no_value) {
    EXPECT_EQ(pairs("host=h hunter2"), "! pair 2 has no =");
    EXPECT_EQ(pairs("=v"), "! pair 1 has no key");
    EXPECT_EQ(pairs("a=1 b="), "! pair 2 has no value");
    EXPECT_EQ(pairs("password='hunter2"), "! pair 1 has a value whose quote does not end");
    EXPECT_EQ(pairs("password='hunter'2"), "! pair 1 goes on behind its quoted value");
}

TEST(ini_pairs, what_is_printed_reads_back) {
    const std::vector<IniPair> written{{"a", "plain"}, {"b", "it's"}, {"c", ""}, {"d", "x y"}};
    EXPECT_EQ(print_ini_pairs(written), "a=plain b='it''s' c='' d='x y'");
    EXPECT_EQ(parse_ini_pairs(print_ini_pairs(written)), written);
}

TEST(ini_key, is_quoted_where_it_must_be) {
    EXPECT_EQ(print_ini_key("app-1"), "app-1");
    EXPECT_EQ(print_ini_key("my \"db\""), "'my \"db\"'");
    EXPECT_EQ(print_ini_key("it's \"x\""), "\"it's \"\"x\"\"\"");
    EXPECT_EQ(told(parse("[a]\n" + print_ini_key("my \"db\"") + " = x")), "[a] my \"db\"=x@main.ini:2;");
}

}  // namespace
}  // namespace pgkeel::config
