#include "pgwire/startup_options.hpp"

#include <gtest/gtest.h>

namespace pgkeel::pgwire {
namespace {

using Words = std::vector<std::string>;
using Settings = std::vector<Parameter>;

TEST(startup_options, are_split_at_any_white_space) {
    EXPECT_EQ(split_options("  -c\ta=b \n--c=d\v"), (Words{"-c", "a=b", "--c=d"}));
    EXPECT_EQ(split_options(" \t\n\v\f\r"), Words{});
    EXPECT_EQ(split_options(""), Words{});
}

TEST(startup_options, keep_what_follows_a_backslash) {
    EXPECT_EQ(split_options("-c\\ a=\\\\b\\c"), (Words{"-c a=\\bc"}));
    EXPECT_EQ(split_options("a\\"), Words{"a"});
    EXPECT_EQ(split_options("\\"), Words{""});
    EXPECT_EQ(split_options("\\\\"), Words{"\\"});
}

TEST(startup_options, give_settings_in_their_three_forms) {
    const auto settings =
        parse_options("-c search_path=a,\\ b -cwork_mem=1MB --default-transaction-isolation=read\\ only --e=");
    ASSERT_TRUE(settings) << settings.error().text;
    EXPECT_EQ(
        *settings,
        (Settings{
            {"search_path", "a, b"}, {"work_mem", "1MB"}, {"default_transaction_isolation", "read only"}, {"e", ""}}));
    EXPECT_EQ(parse_options("-c a=b=c-d"), (Settings{{"a", "b=c-d"}}));
    EXPECT_EQ(parse_options("  "), Settings{});
}

TEST(startup_options, refuse_other_switches) {
    for (const char* text : {"-h", "-B 100", "x", "--", "-C a=b", "\\"}) {
        const auto settings = parse_options(text);
        ASSERT_FALSE(settings) << text;
        EXPECT_EQ(settings.error().text,
                  "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed");
    }
    for (const char* text : {"-c", "-c name", "-c =b", "-c -c", "--name"}) EXPECT_FALSE(parse_options(text)) << text;
}

TEST(startup_options, are_read_as_they_were_written) {
    const Settings settings{{"a", ""}, {"b", " \t\\ x\n"}, {"c", "\\"}, {"d_e", "--x=1 -c y=2"}};
    EXPECT_EQ(parse_options(join_options(settings)), settings);
    EXPECT_EQ(join_options({}), "");
}

}  // namespace
}  // namespace pgkeel::pgwire
