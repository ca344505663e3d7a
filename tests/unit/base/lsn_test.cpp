#include "base/lsn.hpp"

#include <gtest/gtest.h>

namespace pgkeel {
namespace {

TEST(lsn, reads_and_prints_as_postgresql_does) {
    EXPECT_EQ(parse_lsn("16/B374D848"), Lsn{0x16B374D848});
    EXPECT_EQ(to_string(Lsn{0x16B374D848}), "16/B374D848");
    EXPECT_EQ(to_string(Lsn{}), "0/0");
}

TEST(lsn, refuses_what_is_not_one) {
    for (const char* text : {"", "/", "16/", "/1", "16", "16/X", "123456789/0", "0/123456789", "0/1 ", "-1/0"})
        EXPECT_FALSE(parse_lsn(text)) << text;
}

TEST(lsn, lag_is_never_negative) {
    EXPECT_EQ(lag_bytes(Lsn{10}, Lsn{4}), 6U);
    EXPECT_EQ(lag_bytes(Lsn{4}, Lsn{10}), 0U);
}

}  // namespace
}  // namespace pgkeel
