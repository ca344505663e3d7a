#include "ha/election.hpp"

#include "build_snapshot.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;

constexpr Lsn here = BuildSnapshot::position;
Lsn ahead(std::uint64_t bytes) {
    return Lsn{here.bytes + bytes};
}
Lsn behind(std::uint64_t bytes) {
    return Lsn{here.bytes - bytes};
}

/// pg-b in a race with pg-c; the last leader has released the key and does not answer.
BuildSnapshot racing() {
    return standby().released().asked_in_vain("pg-a").asked("pg-c", here);
}

bool says(const Decision& decision, const std::string& text) {
    for (const std::string& note : decision.notes)
        if (note.find(text) != std::string::npos) return true;
    return decision.text.find(text) != std::string::npos;
}

TEST(election, is_won_by_a_node_that_is_as_good_as_any) {
    const Decision decision = decide_race(racing());
    EXPECT_TRUE(is<TakeLease>(decision));
    EXPECT_EQ(decision.reason, Reason::election_won);
}

TEST(election, asks_everybody_before_it_decides) {
    const Decision decision = decide_race(standby().released());
    ASSERT_TRUE(is<ProbePeers>(decision));
    EXPECT_EQ(std::get<ProbePeers>(decision.action).names, (std::vector<std::string>{"pg-a", "pg-c"}));
}

TEST(election, does_not_trust_an_answer_of_some_seconds_ago) {
    EXPECT_TRUE(is<ProbePeers>(decide_race(racing().at(2001ms))));
}

TEST(election, is_left_to_the_node_with_more_wal) {
    const Decision decision = decide_race(racing().asked("pg-c", ahead(1)));
    EXPECT_EQ(decision.reason, Reason::not_the_healthiest);
    EXPECT_TRUE(says(decision, "Wal position of pg-c is ahead of my wal position"));
    EXPECT_TRUE(is<TakeLease>(decide_race(racing().asked("pg-c", behind(1)))));
}

TEST(election, is_left_to_the_node_with_the_higher_priority_at_the_same_position) {
    const Decision decision = decide_race(racing().asked("pg-c", here, with_priority(2)));
    EXPECT_EQ(decision.reason, Reason::not_the_healthiest);
    EXPECT_TRUE(
        says(decision, "pg-c has equally tolerable WAL position and priority 2, while this node has priority 1"));
    EXPECT_TRUE(is<TakeLease>(decide_race(racing().asked("pg-c", behind(1), with_priority(2)))));
}

TEST(election, is_closed_to_a_node_that_nobody_would_fence) {
    BuildSnapshot b = racing();
    b.s.unfit_to_lead = "the watchdog /dev/watchdog is required and cannot be used";
    EXPECT_TRUE(is<Wait>(decide_race(b)));
    EXPECT_EQ(decide_race(b).reason, Reason::not_fenced);
}

TEST(election, is_left_for_a_while_to_a_node_that_can_write) {
    BuildSnapshot b = racing();
    b.s.leaderless_since = b.s.now;
    b.s.cannot_write = "nothing can be written to /data: No space left on device";
    EXPECT_EQ(decide_race(b).reason, Reason::cannot_write);
    EXPECT_LE(decide_race(b).look_again, b.s.now + 1s);
    BuildSnapshot nobody = b;
    for (auto& [name, peer] : nobody.s.peers) peer.cannot_write = true;
    EXPECT_TRUE(is<TakeLease>(decide_race(nobody))) << "one leads who can be read from";
    b.s.leaderless_since = b.s.now - b.s.settings.ttl * 2;
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "the other one does not come";
}

TEST(election, ignores_the_wal_of_a_node_that_may_not_lead) {
    EXPECT_TRUE(is<TakeLease>(decide_race(racing().asked("pg-c", ahead(100), with_priority(0)))));
}

TEST(election, does_not_wait_for_a_node_that_has_to_be_rewound) {
    BuildSnapshot b = racing().asked("pg-c", ahead(100));
    EXPECT_TRUE(is<Wait>(decide_race(b)));
    b.s.peers["pg-c"].history_diverged = true;
    EXPECT_TRUE(is<TakeLease>(decide_race(b)));
    EXPECT_EQ(why_not_promotable(b, b.member("pg-c"), &b.s.peers["pg-c"], here), "has to be rewound first");
    b.requests(switchover("pg-a", "pg-c"));
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "nor when it was chosen";
}

TEST(election, is_called_off_by_a_primary_that_answers) {
    BuildSnapshot b = racing();
    b.s.peers["pg-a"] = b.s.peers["pg-c"];
    b.s.peers["pg-a"].in_recovery = false;
    EXPECT_TRUE(says(decide_race(b), "Primary (pg-a) is still alive"));
    b.requests(switchover("pg-a", "pg-b"));
    EXPECT_TRUE(says(decide_race(b), "Primary (pg-a) is still alive")) << "the chosen candidate too";
}

TEST(election, counts_the_position_on_the_newest_timeline_only) {
    BuildSnapshot b = racing().asked("pg-c", ahead(100000), {}, Timeline{1});
    b.s.server.timeline = Timeline{2};
    EXPECT_TRUE(is<TakeLease>(decide_race(b)));
    b = racing().asked("pg-c", behind(100), {}, Timeline{2});
    EXPECT_TRUE(says(decide_race(b), "Timeline 2 of pg-c is newer than my timeline 1"));
}

TEST(election, of_two_nodes_never_lets_both_stand_back) {
    for (const std::uint32_t other_timeline : {1U, 2U, 3U})
        for (const std::int64_t difference : {-5, 0, 5}) {
            const Lsn other = difference < 0 ? behind(5) : difference > 0 ? ahead(5) : here;
            BuildSnapshot b = racing().asked("pg-c", other, {}, Timeline{other_timeline});
            BuildSnapshot c =
                standby("pg-c").released().asked_in_vain("pg-a").asked("pg-b", here, {}, Timeline{2}).is_at(other);
            b.s.server.timeline = Timeline{2};
            c.s.server.timeline = Timeline{other_timeline};
            EXPECT_TRUE(is<TakeLease>(decide_race(b)) || is<TakeLease>(decide_race(c)))
                << other_timeline << " " << difference;
        }
}

TEST(election, is_closed_to_a_node_that_lags_too_far) {
    BuildSnapshot b = racing().is_at(behind(1048577)).asked_in_vain("pg-c");
    EXPECT_TRUE(says(decide_race(b),
                     "My wal position exceeds maximum replication lag: 1048577 bytes behind, 1048576 are allowed"));
    EXPECT_TRUE(is<TakeLease>(decide_race(b.is_at(behind(1048576)))));
}

TEST(election, waits_a_while_for_who_may_have_what_the_last_leader_had) {
    BuildSnapshot builder = racing();
    builder.s.view->status.optime = ahead(100);
    builder.s.leaderless_since = builder.s.now - 1s;
    EXPECT_TRUE(is<Wait>(decide_race(builder))) << "pg-a does not answer and may have 100 bytes more";
    builder.s.leaderless_since = builder.s.now - 31s;
    EXPECT_TRUE(is<TakeLease>(decide_race(builder))) << "not for ever";
    builder.s.leaderless_since = builder.s.now - 1s;
    EXPECT_TRUE(is<TakeLease>(decide_race(builder.asked("pg-a", here)))) << "everybody answers, and nobody has more";
}

TEST(election, is_closed_to_an_old_timeline_where_check_timeline_says_so) {
    BuildSnapshot b = racing();
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, here, "", "", ""}};
    EXPECT_TRUE(is<TakeLease>(decide_race(b)));
    b.s.settings.check_timeline = true;
    EXPECT_TRUE(says(decide_race(b), "My timeline 1 is older than the cluster's 2"));
}

TEST(election, is_closed_to_nofailover_diverged_and_foreign_nodes) {
    BuildSnapshot b = racing();
    b.s.tags.nofailover = true;
    EXPECT_EQ(decide_race(b).reason, Reason::not_allowed_to_promote);
    EXPECT_TRUE(says(decide_race(b), "following a different leader because I am not allowed to promote"));
    b = racing();
    b.s.history_diverged = true;
    EXPECT_EQ(decide_race(b).reason, Reason::not_allowed_to_promote);
    b = racing().asked("pg-c", ahead(100));
    b.s.peers["pg-c"].system_identifier = "666";
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "a foreign node does not count";
}

TEST(election, waits_for_the_last_leaders_lease) {
    BuildSnapshot b = standby().no_leader_key().asked_in_vain("pg-a").asked("pg-c", here);
    const Decision decision = decide_race(b);
    EXPECT_EQ(decision.reason, Reason::waiting_for_race);
    EXPECT_LE(decision.look_again, b.s.now + 1s);
}

TEST(election, is_left_to_the_chosen_candidate_while_that_one_is_healthy) {
    BuildSnapshot b = racing().requests(switchover("pg-a", "pg-c"));
    EXPECT_TRUE(says(decide_race(b), "pg-c was chosen and is healthy"));
    const Decision decision = decide_race(b.asked_in_vain("pg-c"));
    EXPECT_TRUE(is<TakeLease>(decision));
    EXPECT_TRUE(says(decision, "the chosen candidate pg-c is not reachable"));
}

TEST(election, is_free_when_the_leader_of_a_switchover_was_lost_before_it_made_way) {
    BuildSnapshot b = standby().no_leader_key().at(6s).asked_in_vain("pg-a").asked("pg-c", ahead(100));
    EXPECT_EQ(decide_race(b.requests(switchover("pg-a", "pg-b"))).reason, Reason::not_the_healthiest)
        << "nobody has seen to it that the candidate has everything";
    EXPECT_EQ(decide_race(b.asked("pg-c", behind(100)).requests(switchover("pg-a", "pg-c"))).reason,
              Reason::election_won);
    EXPECT_EQ(decide_race(b.asked("pg-c", ahead(100)).requests(failover_to("pg-b"))).reason, Reason::manual_candidate)
        << "a failover is an operator's word";
}

TEST(election, is_left_for_a_while_to_the_candidate_of_a_switchover_whose_leader_was_lost) {
    BuildSnapshot b = standby().no_leader_key().at(6s).asked_in_vain("pg-a").asked("pg-c", here);
    b.s.leaderless_since = b.s.now;
    b.requests(switchover("pg-a", "pg-c"));
    EXPECT_TRUE(says(decide_race(b), "pg-c was chosen and is as good"));
    EXPECT_EQ(decide_race(b.requests(switchover("pg-a", "pg-b"))).reason, Reason::election_won);
    b.requests(switchover("pg-a", "pg-c")).s.leaderless_since = b.s.now - 10s;
    EXPECT_EQ(decide_race(b).reason, Reason::election_won) << "it had its time";
}

TEST(election, is_won_by_the_chosen_candidate_whatever_others_have) {
    BuildSnapshot b = racing().asked("pg-c", ahead(100)).requests(failover_to("pg-b"));
    EXPECT_EQ(decide_race(b).reason, Reason::manual_candidate);
}

TEST(election, heeds_a_scheduled_request_once_a_leader_has_made_way_for_it) {
    const FailoverRequest request = switchover("pg-a", "pg-c", "2026-11-21T12:00:00Z");
    EXPECT_TRUE(says(decide_race(racing().requests(request)), "pg-c was chosen and is healthy"));
    BuildSnapshot crashed =
        standby().no_leader_key().at(6s).asked_in_vain("pg-a").asked("pg-c", here).requests(request);
    EXPECT_EQ(decide_race(crashed).reason, Reason::election_won);
    FailoverRequest later = request;
    later.scheduled_at = "2026-11-21T12:00:01Z";
    EXPECT_EQ(decide_race(racing().requests(later)).reason, Reason::election_won);
}

TEST(election, ignores_a_request_that_was_cleared) {
    EXPECT_EQ(decide_race(racing().requests({})).reason, Reason::election_won);
}

TEST(election, in_a_paused_cluster_is_for_the_chosen_candidate_alone) {
    EXPECT_EQ(decide_race(racing().paused()).reason, Reason::paused);
    EXPECT_EQ(decide_race(racing().paused().requests(failover_to("pg-b"))).reason, Reason::manual_candidate);
}

TEST(election, is_left_to_others_for_a_while_after_a_release_of_ones_own) {
    BuildSnapshot b = racing();
    b.s.yield_until = b.s.now + 1s;
    EXPECT_EQ(decide_race(b).reason, Reason::yielding);
    b = racing();
    b.s.pre_promote_backoff = b.s.now + 1s;
    EXPECT_EQ(decide_race(b).reason, Reason::yielding);
}

TEST(election, of_a_running_primary_without_key_depends_on_its_timeline) {
    BuildSnapshot b = primary().released();
    EXPECT_EQ(decide_race(b).reason, Reason::lease_is_ours);
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, here, "", "", ""}};
    const Decision decision = decide_race(b);
    ASSERT_TRUE(is<Demote>(decision));
    EXPECT_EQ(decision.reason, Reason::no_right_to_lead);
}

TEST(promotable, names_the_first_thing_that_is_wrong) {
    BuildSnapshot b = primary().asked("pg-b", here);
    const Member& member = b.member("pg-b");
    PeerStatus peer = b.s.peers["pg-b"];
    EXPECT_EQ(why_not_promotable(b, member, &peer, here), "");
    EXPECT_EQ(why_not_promotable(b, member, nullptr, here), "is not reachable");
    peer.watchdog_failed = true;
    EXPECT_EQ(why_not_promotable(b, member, &peer, here), "has no working watchdog");
    peer.tags.nofailover = true;
    EXPECT_EQ(why_not_promotable(b, member, &peer, here), "is not allowed to promote");
    peer.in_recovery = false;
    EXPECT_EQ(why_not_promotable(b, member, &peer, here), "is not a standby");
    peer = b.s.peers["pg-b"];
    EXPECT_NE(why_not_promotable(b, member, &peer, ahead(2000000)).find("exceeds maximum replication lag"),
              std::string::npos);
}

TEST(succession, finds_the_standby_with_the_most_wal) {
    EXPECT_EQ(who_could_succeed(primary().asked("pg-b", behind(100)).asked("pg-c", here)).best, "pg-c");
    const Succession none = who_could_succeed(primary().asked_in_vain("pg-b").asked("pg-c", here, with_priority(0)));
    EXPECT_FALSE(none.possible);
    EXPECT_EQ(none.why, "pg-b is not reachable; pg-c is not allowed to promote");
}

TEST(asking, leaves_out_members_whose_key_is_gone) {
    BuildSnapshot b = standby();
    EXPECT_EQ(peers_to_ask(b, {"pg-a", "pg-x"}, 1s), std::vector<std::string>{"pg-a"});
}

TEST(election, waits_for_a_while_when_the_last_leader_is_seen_to_write) {
    BuildSnapshot b = racing();
    b.s.leaderless_since = b.s.now - 3s;
    b.s.position_moved_at = b.s.now - 1s;
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "unless it was asked for";
    b.s.settings.primary_race_backoff = 6s;
    const Decision decision = decide_race(b);
    EXPECT_TRUE(is<Wait>(decision));
    EXPECT_NE(decision.text.find("for 3.0 s at most: my wal position moved since last heart beat loop"),
              std::string::npos)
        << decision.text;
    b.s.position_moved_at = b.s.now - 2s;
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "it writes no more";
    b.s.position_moved_at = b.s.now;
    b.s.leaderless_since = b.s.now - 6s;
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "or for too long";
}

TEST(election, is_not_for_who_is_no_synchronous_standby_where_others_acknowledge) {
    BuildSnapshot b = racing();
    b.s.settings.synchronous_mode = SynchronousMode::on;
    EXPECT_TRUE(is<TakeLease>(decide_race(b))) << "the key sync names nobody";
    b.s.view->sync = SyncKey{.leader = "pg-a", .members = {"pg-c"}};
    EXPECT_TRUE(is<Wait>(decide_race(b)));
    b.s.view->sync->members = {"pg-b", "pg-c"};
    EXPECT_TRUE(is<TakeLease>(decide_race(b)));
}

}  // namespace
}  // namespace pgkeel::ha
