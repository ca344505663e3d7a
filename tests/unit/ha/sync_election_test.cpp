#include "ha/sync_election.hpp"

#include "build_snapshot.hpp"
#include "ha/switchover.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;
constexpr auto by_priority = SynchronousMode::on;
constexpr auto by_quorum = SynchronousMode::quorum;

constexpr Lsn here = BuildSnapshot::position;
constexpr Lsn ahead{here.bytes + 100};
constexpr Lsn behind{here.bytes - 100};

/// pg-b after pg-a released its lease and went away.
BuildSnapshot racing() {
    return standby().released().asked_in_vain("pg-a").asked("pg-c", here);
}

bool says(const Decision& decision, const std::string& text) {
    for (const std::string& note : decision.notes)
        if (note.find(text) != std::string::npos) return true;
    return decision.text.find(text) != std::string::npos;
}

TEST(sync_election, by_priority_a_member_of_the_key_wins) {
    EXPECT_TRUE(is<TakeLease>(decide(racing().synchronous(by_priority, {"pg-b"}))));
    EXPECT_TRUE(is<TakeLease>(decide(racing().synchronous(by_priority, {"pg-b"}).asked("pg-c", ahead))))
        << "what pg-c has more was acknowledged to nobody";
}

TEST(sync_election, by_priority_others_do_not_race) {
    const Decision decision = decide(racing().synchronous(by_priority, {"pg-c"}).asked("pg-c", behind));
    EXPECT_EQ(decision.reason, Reason::not_allowed_to_promote);
    EXPECT_TRUE(says(decision, "I am not a synchronous standby of pg-a"));
}

TEST(sync_election, with_nobody_in_the_key_only_its_leader_wins) {
    EXPECT_EQ(decide(racing().synchronous(by_priority, {})).reason, Reason::not_allowed_to_promote);
    EXPECT_EQ(decide(racing().synchronous(by_quorum, {})).reason, Reason::not_the_healthiest);
    auto leader = standby("pg-a").released().asked("pg-b", here).asked("pg-c", here).synchronous(by_quorum, {});
    EXPECT_TRUE(is<TakeLease>(decide(leader)));
}

TEST(sync_election, a_quorum_needs_the_votes_of_those_who_have_no_more) {
    EXPECT_TRUE(is<TakeLease>(decide(racing().synchronous(by_quorum, {"pg-b", "pg-c"}, 1))));
    const Decision alone = decide(racing().synchronous(by_quorum, {"pg-b", "pg-c"}, 1).asked_in_vain("pg-c"));
    EXPECT_EQ(alone.reason, Reason::not_the_healthiest);
    EXPECT_TRUE(says(alone, "0 of 1 votes"));
    EXPECT_TRUE(says(alone, "no vote from pg-c"));
    EXPECT_TRUE(is<TakeLease>(decide(racing().synchronous(by_quorum, {"pg-b", "pg-c"}, 0).asked_in_vain("pg-c"))));
}

TEST(sync_election, one_that_is_no_voter_needs_a_vote_more) {
    auto outsider = racing().synchronous(by_quorum, {"pg-c", "pg-d"}, 1);
    EXPECT_EQ(decide(outsider).reason, Reason::not_the_healthiest);
    outsider.s.view->members.push_back(outsider.member("pg-c"));
    outsider.s.view->members.back().name = "pg-d";
    EXPECT_TRUE(is<TakeLease>(decide(outsider.asked("pg-d", behind))));
    EXPECT_EQ(decide(outsider.asked("pg-d", ahead)).reason, Reason::not_the_healthiest);
}

TEST(sync_election, a_vote_counts_only_for_what_the_voter_surely_has) {
    auto voters = racing().synchronous(by_quorum, {"pg-b", "pg-c"}, 1);
    auto unsure = voters;
    unsure.s.peers.at("pg-c").position_known = false;
    EXPECT_EQ(decide(unsure).reason, Reason::not_the_healthiest) << "it may have more on its disk";
    auto other_cluster = voters;
    other_cluster.s.peers.at("pg-c").system_identifier = "7000000000000000002";
    EXPECT_EQ(decide(other_cluster).reason, Reason::not_the_healthiest);
    auto older = voters;
    older.s.server.timeline = Timeline{2};
    EXPECT_TRUE(is<TakeLease>(decide(older.asked("pg-c", ahead, {}, Timeline{1}))))
        << "what is behind the fork on an older timeline is nobody's";
}

TEST(sync_election, a_vote_from_before_the_lease_ended_does_not_count) {
    auto silent = standby().no_leader_key().synchronous(by_quorum, {"pg-b", "pg-c"}, 1).at(6s);
    silent.asked_in_vain("pg-a").asked("pg-c", here);
    EXPECT_TRUE(is<TakeLease>(decide(silent)));
    silent.s.peers.at("pg-c").asked = silent.s.now - 1s;  // the lease ended 0.8 s ago
    EXPECT_TRUE(is<ProbePeers>(decide(silent))) << "pg-a may have acknowledged something since";
}

TEST(sync_election, an_operator_may_force_a_standby_that_is_not_synchronous) {
    auto asked = racing().synchronous(by_priority, {"pg-c"}).requests(failover_to("pg-b"));
    EXPECT_TRUE(is<TakeLease>(decide(asked)));
    auto switched = racing().synchronous(by_priority, {"pg-c"}).requests(switchover("pg-a", "pg-b"));
    EXPECT_EQ(decide(switched).reason, Reason::not_allowed_to_promote) << "a switchover loses nothing";
}

TEST(sync_election, a_leader_steps_down_only_for_one_who_can_take_over) {
    auto leader = primary().holds_lease().synchronous(by_priority, {"pg-b"}).asked("pg-b", here).asked("pg-c", here);
    EXPECT_TRUE(is<Demote>(decide(auto(leader).requests(switchover("pg-a", "pg-b")))));
    EXPECT_TRUE(is<ClearFailover>(decide(auto(leader).requests(switchover("pg-a", "pg-c")))));
    EXPECT_TRUE(is<Demote>(decide(auto(leader).requests(failover_to("pg-c")))));
    const Decision any = decide(auto(leader).requests(switchover("pg-a", "")));
    ASSERT_TRUE(is<Demote>(any));
    EXPECT_EQ(std::get<Demote>(any.action).candidate, "pg-b");

    auto quorum = primary().holds_lease().synchronous(by_quorum, {"pg-b", "pg-c"}, 1).asked("pg-b", here);
    EXPECT_TRUE(is<Demote>(decide(auto(quorum).asked("pg-c", behind).requests(switchover("pg-a", "pg-b")))));
    const Decision alone = decide(auto(quorum).asked_in_vain("pg-c").requests(switchover("pg-a", "pg-b")));
    EXPECT_TRUE(is<ClearFailover>(alone));
    EXPECT_TRUE(says(alone, "would have 1 of the 2 votes it needs"));
}

TEST(sync_election, a_primary_without_the_lease_takes_it_only_if_the_key_names_it) {
    auto was_leader = primary().released().synchronous(by_quorum, {"pg-b"});
    EXPECT_TRUE(is<TakeLease>(decide(was_leader)));
    was_leader.s.view->sync->leader = "pg-c";
    EXPECT_EQ(decide(was_leader).reason, Reason::no_right_to_lead);
}

}  // namespace
}  // namespace pgkeel::ha
