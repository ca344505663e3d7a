#include "cli/text_diff.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

TEST(unified_diff, equal_texts_have_none) {
    EXPECT_EQ(unified_diff("a\nb\n", "a\nb\n"), "");
    EXPECT_EQ(unified_diff("", ""), "");
}

TEST(unified_diff, shows_a_change_with_three_lines_around_it) {
    EXPECT_EQ(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
              "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(unified_diff, distant_changes_have_a_hunk_each_and_near_ones_share_it) {
    std::string before;
    for (int i = 1; i <= 20; ++i) before += std::to_string(i) + "\n";
    std::string near = before;
    near.replace(near.find("5\n"), 2, "five\n").replace(near.find("12\n"), 3, "twelve\n");
    EXPECT_EQ(unified_diff(before, near).find("@@", 20), std::string::npos);
    std::string far = before;
    far.replace(far.find("2\n"), 2, "two\n").replace(far.find("19\n"), 3, "nineteen\n");
    EXPECT_EQ(unified_diff(before, far),
              "@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n@@ -16,5 +16,5 @@\n 16\n 17\n 18\n-19\n+nineteen\n 20\n");
}

TEST(unified_diff, counts_an_empty_side_as_diff_does) {
    EXPECT_EQ(unified_diff("", "ttl: 20\n"), "@@ -0,0 +1 @@\n+ttl: 20\n");
    EXPECT_EQ(unified_diff("ttl: 20\nloop_wait: 5\n", ""), "@@ -1,2 +0,0 @@\n-ttl: 20\n-loop_wait: 5\n");
}

}  // namespace
}  // namespace pgkeel::cli
