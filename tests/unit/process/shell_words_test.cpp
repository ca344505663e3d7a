#include "process/child.hpp"

#include <gtest/gtest.h>

namespace pgkeel {
namespace {

using Words = std::vector<std::string>;

TEST(shell_words, blanks_separate_and_are_squeezed) {
    EXPECT_EQ(split_shell_words("  a  b\tc\n"), Words({"a", "b", "c"}));
    EXPECT_EQ(split_shell_words("   "), Words());
}

TEST(shell_words, quotes_keep_blanks_and_may_stand_within_a_word) {
    EXPECT_EQ(split_shell_words(R"(a 'b c'd "e  f" '' "")"), Words({"a", "b cd", "e  f", "", ""}));
    EXPECT_EQ(split_shell_words(R"('a"b' "a'b")"), Words({"a\"b", "a'b"}));
}

TEST(shell_words, a_backslash_means_what_it_means_in_a_shell) {
    EXPECT_EQ(split_shell_words(R"(a\ b \'c\' 'd\e' "f\g\"h\\i\$j")"), Words({"a b", "'c'", "d\\e", "f\\g\"h\\i$j"}));
    EXPECT_EQ(split_shell_words("a\\\nb"), Words({"ab"})) << "a line that goes on";
}

TEST(shell_words, nothing_is_expanded) {
    EXPECT_EQ(split_shell_words("$HOME `id` * ~ #x"), Words({"$HOME", "`id`", "*", "~", "#x"}));
}

TEST(shell_words, what_is_not_closed_is_an_error) {
    for (const char* line : {"'a", "\"a", "a\\", "\"a\\"}) {
        const auto words = split_shell_words(line);
        ASSERT_FALSE(words) << line;
        EXPECT_EQ(words.error().code, Errc::invalid_input);
    }
}

TEST(find_program, looks_into_path_or_takes_the_path_given) {
    const auto sh = find_program("sh");
    ASSERT_TRUE(sh);
    EXPECT_EQ(find_program(*sh), *sh);
    EXPECT_EQ(find_program("/etc/passwd").error().code, Errc::not_found) << "it is not executable";
    EXPECT_EQ(find_program("/tmp").error().code, Errc::not_found) << "a directory is not a program";
    EXPECT_FALSE(find_program(""));
}

}  // namespace
}  // namespace pgkeel
