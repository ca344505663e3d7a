#include "ha/switchover.hpp"

#include "build_snapshot.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;

WallTime noon() {
    return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 12h);
}

TEST(iso_time, is_read_with_every_kind_of_zone) {
    for (const char* text :
         {"2026-11-21T12:00:00Z", "2026-11-21T12:00:00z", "2026-11-21 12:00:00+00:00", "2026-11-21t13:00:00+01:00",
          "2026-11-21T07:30-0430", "2026-11-22T02:00:00+14", "2026-11-21T12:00:00.000 Z", "2026-11-21T12:00+00"})
        EXPECT_EQ(parse_iso_time(text), noon()) << text;
}

TEST(iso_time, keeps_fractions_of_a_second) {
    EXPECT_EQ(parse_iso_time("2026-11-21T12:00:00.5Z"), noon() + 500ms);
    EXPECT_EQ(parse_iso_time("2026-11-21T12:00:00,000001Z"), noon() + 1us);
    EXPECT_EQ(parse_iso_time("2026-11-21T12:00:00.123456789+00:00"), noon() + 123456us);
}

TEST(iso_time, goes_over_midnight_and_leap_days) {
    EXPECT_EQ(parse_iso_time("2024-02-29T23:30:00-01:00"),
              WallTime(std::chrono::sys_days(std::chrono::year(2024) / 3 / 1) + 30min));
}

TEST(iso_time, refuses_what_is_not_one_and_what_has_no_zone) {
    for (const char* text : {"",
                             "now",
                             "tomorrow",
                             "2026-11-21",
                             "2026-11-21T12:00:00",
                             "2026-11-21T12:00:00+",
                             "2026-11-21T12:00:00+1",
                             "2026-11-21T12:00:00+15:00",
                             "2026-11-21T12:00:00+01:60",
                             "2026-11-21T12:00:00+01:0",
                             "2026-13-01T00:00:00Z",
                             "2026-02-29T00:00:00Z",
                             "2026-11-21T24:00:00Z",
                             "2026-11-21T12:60:00Z",
                             "2026-11-21T12:00:61Z",
                             "2026-11-21T12:00:00.Z",
                             "2026-11-21T12:00:00Zulu",
                             "2026-11-21X12:00:00Z",
                             "-026-11-21T12:00:00Z",
                             "2026-11-21T12:00:00.1234567890Z",
                             "+2026-11-21T12:00:00Z",
                             "2026-1-21T12:00:00Z",
                             "\xff\xfe",
                             "20261121T120000Z"})
        EXPECT_FALSE(parse_iso_time(text)) << text;
}

/// The leader, whose standbys have just answered.
BuildSnapshot leader() {
    return primary().holds_lease().asked("pg-b", BuildSnapshot::position).asked("pg-c", BuildSnapshot::position);
}

std::string candidate_of(const Snapshot& s) {
    const auto decision = decide_requested_failover(s);
    if (!decision) return "nothing";
    if (is<ClearFailover>(*decision)) return "cleared";
    if (is<ProbePeers>(*decision)) return "asking";
    const auto* demote = std::get_if<Demote>(&decision->action);
    return demote && demote->how == Demotion::graceful ? demote->candidate : "?";
}

TEST(switchover, goes_to_the_candidate_that_was_named) {
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "pg-c"))), "pg-c");
    EXPECT_EQ(candidate_of(leader().requests(failover_to("pg-c"))), "pg-c");
}

TEST(switchover, without_a_request_is_none) {
    EXPECT_EQ(candidate_of(leader()), "nothing");
    EXPECT_EQ(candidate_of(leader().requests({})), "nothing") << "the key holds {}: cleared";
    EXPECT_EQ(candidate_of(leader().without_store()), "nothing");
}

TEST(switchover, without_a_candidate_goes_to_the_best) {
    BuildSnapshot b = leader().requests(switchover("pg-a", ""));
    b.asked("pg-b", Lsn{BuildSnapshot::position.bytes - 8});
    EXPECT_EQ(candidate_of(b), "pg-c");
    b.asked("pg-b", BuildSnapshot::position, with_priority(2));
    EXPECT_EQ(candidate_of(b), "pg-b");
}

TEST(switchover, asks_the_candidates_first) {
    EXPECT_EQ(candidate_of(primary().holds_lease().requests(switchover("pg-a", ""))), "asking");
    EXPECT_EQ(candidate_of(leader().at(1001ms).requests(switchover("pg-a", ""))), "asking")
        << "old answers do not count";
}

TEST(switchover, that_cannot_be_is_cleared) {
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-x", "pg-b"))), "cleared");
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "pg-a"))), "cleared");
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "pg-x"))), "cleared");
    EXPECT_EQ(candidate_of(leader().asked_in_vain("pg-b").requests(failover_to("pg-b"))), "cleared");
    EXPECT_EQ(candidate_of(leader().asked_in_vain("pg-b").asked_in_vain("pg-c").requests(switchover("pg-a", ""))),
              "cleared");
}

TEST(switchover, goes_to_nobody_who_has_left_the_history) {
    BuildSnapshot b = leader().requests(switchover("pg-a", "pg-c"));
    b.s.server.timeline = Timeline{2};
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, BuildSnapshot::position, "", "", ""}};
    EXPECT_EQ(candidate_of(b), "pg-c") << "it has not come to the new timeline yet";
    b.s.view->history.front().lsn.bytes -= 8;
    EXPECT_EQ(candidate_of(b), "cleared") << "the cluster went on from before where its WAL ends";
}

TEST(switchover, says_why_nobody_can_take_over) {
    const auto decision = decide_requested_failover(leader().asked_in_vain("pg-b").requests(failover_to("pg-b")));
    ASSERT_TRUE(decision);
    EXPECT_EQ(decision->notes, std::vector<std::string>{"Member pg-b is not reachable"});
}

TEST(switchover, with_a_time_waits_for_it) {
    BuildSnapshot b = leader().requests(switchover("pg-a", "pg-b", "2026-11-21T12:00:00.5Z"));
    EXPECT_EQ(candidate_of(b), "nothing");
    EXPECT_EQ(next_scheduled(b), BuildSnapshot::start + 500ms);
    EXPECT_EQ(candidate_of(b.at(500ms)), "pg-b");
    EXPECT_EQ(next_scheduled(b), Instant::max());
}

TEST(switchover, that_is_too_late_is_cleared_and_not_made_up_for) {
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "", "2026-11-21T11:59:51Z"))), "pg-b");
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "", "2026-11-21T11:59:49Z"))), "cleared");
    EXPECT_EQ(candidate_of(leader().requests(switchover("pg-a", "", "soon"))), "cleared");
}

TEST(switchover, in_a_paused_cluster_needs_a_candidate_and_no_time) {
    EXPECT_EQ(candidate_of(leader().paused().requests(switchover("pg-a", "pg-b"))), "pg-b");
    EXPECT_EQ(candidate_of(leader().paused().requests(switchover("pg-a", ""))), "cleared");
    const BuildSnapshot scheduled = leader().paused().requests(switchover("pg-a", "pg-b", "2026-11-21T12:00:00Z"));
    EXPECT_EQ(candidate_of(scheduled), "nothing");
    EXPECT_EQ(next_scheduled(scheduled), Instant::max());
}

}  // namespace
}  // namespace pgkeel::ha
