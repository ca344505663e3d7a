#include "config/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pgkeel::config {
namespace {

TEST(nearest, counts_slips_of_the_fingers) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("listen", "listen"), 0U);
    EXPECT_EQ(edit_distance("lisen", "listen"), 1U);
    EXPECT_EQ(edit_distance("lsiten", "listen"), 1U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(nearest, offers_only_what_is_near) {
    const std::vector<std::string> known{"listen", "connect_address", "ttl", "scope"};
    EXPECT_EQ(nearest("lisen", known), "listen");
    EXPECT_EQ(nearest("connect_adress", known), "connect_address");
    EXPECT_EQ(nearest("tll", known), "ttl");
    EXPECT_EQ(nearest("whatever", known), std::nullopt);
    EXPECT_EQ(nearest(std::string(100'000, 'x'), known), std::nullopt);
}

}  // namespace
}  // namespace pgkeel::config
