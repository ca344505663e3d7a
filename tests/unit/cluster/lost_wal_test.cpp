#include "cluster/lost_wal.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

const Keys keys{"/service/demo/"};

LostWalReport of_leader() {
    return {.timeline = Timeline{3}, .begin = Lsn{0x5000148}, .member = "pg-a", .end = Lsn{0x5012340}, .at = "now"};
}
LostWalReport of_member() {
    LostWalReport report = of_leader();
    report.end = Lsn{0x5020000};
    report.exact = true;
    report.kept_in = "/data_lost_wal/timeline-3-0_5000148";
    report.kept_bytes = 16777216;
    return report;
}
etcd::KeyValue stored(const LostWalReport& report) {
    return {lost_wal_key(keys, report), write_lost_wal(report), 1, 1, 0};
}

TEST(lost_wal, what_the_member_found_takes_the_place_of_what_the_leader_knew) {
    EXPECT_EQ(lost_wal_key(keys, of_leader()), "/service/demo/lost_wal/3/leader");
    EXPECT_EQ(lost_wal_key(keys, of_member()), "/service/demo/lost_wal/3/members/pg-a");
    auto reports = read_lost_wal(keys, {stored(of_leader())});
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(describe(reports[0]), "at least 74232 bytes of WAL that pg-a wrote on timeline 3 after 0/5000148");
    for (const auto& both : {std::vector{stored(of_leader()), stored(of_member())},
                             std::vector{stored(of_member()), stored(of_leader())}}) {
        reports = read_lost_wal(keys, both);
        ASSERT_EQ(reports.size(), 1U);
        EXPECT_EQ(describe(reports[0]), "130744 bytes of WAL that pg-a wrote on timeline 3 after 0/5000148");
        EXPECT_EQ(reports[0].kept_in, "/data_lost_wal/timeline-3-0_5000148");
        EXPECT_EQ(reports[0].kept_bytes, 16777216U);
        EXPECT_TRUE(reports[0].kept_whole);
        EXPECT_EQ(reports[0].at, "now");
    }
}

TEST(lost_wal, nothing_known_is_not_nothing_lost) {
    LostWalReport report = of_leader();
    report.end = report.begin;
    EXPECT_EQ(describe(report), "nothing is known to be lost of what pg-a wrote on timeline 3");
}

TEST(lost_wal, comes_in_the_order_of_timelines_and_leaves_out_what_it_cannot_read) {
    LostWalReport later = of_leader();
    later.timeline = Timeline{12};
    const auto reports = read_lost_wal(keys, {stored(later),
                                              stored(of_leader()),
                                              {keys.lost_wal() + "4/leader", "no JSON", 1, 1, 0},
                                              {keys.lost_wal() + "4/leader", "{}", 1, 1, 0},
                                              {keys.lost_wal() + "x/leader", write_lost_wal(later), 1, 1, 0},
                                              {keys.lost_wal() + "5", write_lost_wal(later), 1, 1, 0},
                                              {keys.lost_wal() + "5/members/", write_lost_wal(later), 1, 1, 0},
                                              {keys.history(), write_lost_wal(later), 1, 1, 0}});
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_EQ(reports[0].timeline, Timeline{3});
    EXPECT_EQ(reports[1].timeline, Timeline{12});
}

}  // namespace
}  // namespace pgkeel::cluster
