#include "cli/terminal.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>

namespace pgkeel::cli {

TEST(display_width, counts_characters_not_bytes) {
    EXPECT_EQ(display_width("pg-a"), 4U);
    EXPECT_EQ(display_width("größe"), 5U);
    EXPECT_EQ(display_width("数据"), 4U);
    EXPECT_EQ(display_width("e\u0301"), 1U);
    EXPECT_EQ(display_width("\033[31mred\033[0m"), 3U);
}

TEST(display_width, takes_bytes_that_are_not_utf8_as_one_character_each) {
    EXPECT_EQ(display_width("\xff\xfe"), 2U);
    EXPECT_EQ(display_width("a\xe2\x82"), 2U);
}

TEST(cut_to_width, never_cuts_inside_a_character) {
    EXPECT_EQ(cut_to_width("größe", 5), "größe");
    EXPECT_EQ(cut_to_width("größen", 4), "grö…");
    EXPECT_EQ(cut_to_width("数据库", 4), "数…");
    EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(table, is_framed_as_patronictl_frames_it) {
    Table table({{"Member"}, {"Lag", Align::right}});
    table.add({"pg-a", ""});
    table.add({"größe", "16"});
    EXPECT_EQ(table.framed("Cluster: x"),
              "+ Cluster: x --+\n"
              "| Member | Lag |\n"
              "+--------+-----+\n"
              "| pg-a   |     |\n"
              "| größe  |  16 |\n"
              "+--------+-----+\n");
}

TEST(table, shrinks_only_the_columns_that_may) {
    Table table({{"Member"}, {"Tags", Align::left, true}});
    table.add({"pg-a-with-a-long-name", "clonefrom: true, nofailover: true"});
    const std::string text = table.framed("", 45);
    EXPECT_NE(text.find("pg-a-with-a-long-name"), std::string::npos);
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = text.find('\n', begin);
        EXPECT_EQ(display_width(text.substr(begin, end - begin)), 45U);
        begin = end + 1;
    }
}

TEST(table, plain_leaves_no_blanks_at_line_ends) {
    Table table({{"A"}, {"B"}});
    table.add({"1", "x"});
    table.add({"22", ""});
    EXPECT_EQ(table.plain(), "A   B\n1   x\n22\n");
}

TEST(terminal_width, believes_columns_when_it_makes_sense) {
    ::setenv("COLUMNS", "132", 1);
    EXPECT_EQ(terminal_width(), 132U);
    ::setenv("COLUMNS", "many", 1);
    EXPECT_GE(terminal_width(), 20U);
    ::unsetenv("COLUMNS");
}

TEST(colour, stays_out_of_pipes) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    EXPECT_FALSE(wants_colour(ends[1]));
    EXPECT_EQ(coloured("x", Colour::red, ends[1]), "x");
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace pgkeel::cli
