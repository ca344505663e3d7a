#include "postgres/timeline_history.hpp"

#include <gtest/gtest.h>

namespace pgkeel::postgres {
namespace {

TEST(timeline_history, lines_name_each_timeline_and_where_it_was_left) {
    const auto entries = parse_timeline_history(
        "1\t0/3000060\tno recovery target specified\n\n# a comment\n2\t16/B374D848\tbefore 2000-01-01 00:00:00+00\n");
    ASSERT_TRUE(entries) << entries.error().line();
    ASSERT_EQ(entries->size(), 2U);
    EXPECT_EQ((*entries)[0].timeline, Timeline{1});
    EXPECT_EQ((*entries)[0].lsn, Lsn{0x3000060});
    EXPECT_EQ((*entries)[0].reason, "no recovery target specified");
    EXPECT_EQ((*entries)[1].lsn, *parse_lsn("16/B374D848"));
}

TEST(timeline_history, an_empty_history_is_none) {
    EXPECT_TRUE(parse_timeline_history("")->empty());
}

TEST(timeline_history, damaged_lines_are_errors) {
    for (const char* text : {"x\t0/1\treason", "1", "1\tnowhere\treason", "0\t0/1\tr", "2\t0/1\tr\n1\t0/2\tr",
                             "1\t0/1\tr\n1\t0/2\tr", "99999999999\t0/1\tr", "-1\t0/1"})
        EXPECT_FALSE(parse_timeline_history(text)) << text;
}

TEST(identify_system, the_row_is_read) {
    const auto identity = parse_identify_system({"7123456789012345678", "3", "0/5000148", ""});
    ASSERT_TRUE(identity) << identity.error().line();
    EXPECT_EQ(identity->timeline, Timeline{3});
    EXPECT_EQ(identity->position, Lsn{0x5000148});
    EXPECT_FALSE(parse_identify_system({"7123456789012345678", "3"}));
    EXPECT_FALSE(parse_identify_system({"7123456789012345678", "three", "0/5000148"}));
}

TEST(wal_file_name, is_postgresqls) {
    constexpr std::uint64_t segment = 16 << 20;
    EXPECT_EQ(wal_file_name(Timeline{1}, Lsn{0x1000000}, segment), "000000010000000000000001");
    EXPECT_EQ(wal_file_name(Timeline{0xA}, *parse_lsn("6AA1/68000010"), segment), "0000000A00006AA100000068");
    EXPECT_EQ(wal_file_name(Timeline{1}, *parse_lsn("1/40000000"), std::uint64_t{1} << 30), "000000010000000100000001");
    EXPECT_EQ(history_file_name(Timeline{0x1F}), "0000001F.history");
}

}  // namespace
}  // namespace pgkeel::postgres
