#include "ha/sync_candidates.hpp"

#include "build_snapshot.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;
using Names = std::set<std::string>;
constexpr auto by_priority = SynchronousMode::on;
constexpr auto by_quorum = SynchronousMode::quorum;
constexpr Lsn here = BuildSnapshot::position;

BuildSnapshot leading(SynchronousMode mode) {
    return primary().holds_lease().synchronous(mode, {});
}

SyncState stands_with(const SyncTarget& target) {
    return {target.votes, {target.rule}, false};
}

SyncWish wish(const Snapshot& seen, const SyncState& state = {}, SyncMemory memory = {}) {
    remember_standbys(seen, memory);
    return sync_wish(seen, state, memory);
}

TEST(sync_candidates, by_priority_are_as_many_as_configured) {
    auto seen = leading(by_priority).streams_to("pg-b").streams_to("pg-c", Lsn{here.bytes + 10});
    EXPECT_EQ(wish(seen).target.rule, (SyncRule{{"pg-c"}, 1, false})) << "the one that has most";
    EXPECT_EQ(wish(seen).target.votes, (SyncVotes{{"pg-c"}, 0}));
    seen.s.settings.synchronous_node_count = 2;
    EXPECT_EQ(wish(seen).target.rule, (SyncRule{{"pg-b", "pg-c"}, 2, false}));
    EXPECT_EQ(wish(seen).target.votes, (SyncVotes{{"pg-b", "pg-c"}, 0}));
}

TEST(sync_candidates, of_a_quorum_are_all_that_stream) {
    auto seen = leading(by_quorum).streams_to("pg-b").streams_to("pg-c");
    EXPECT_EQ(wish(seen).target.rule, (SyncRule{{"pg-b", "pg-c"}, 1, true}));
    EXPECT_EQ(wish(seen).target.votes, (SyncVotes{{"pg-b", "pg-c"}, 1}));
    seen.s.settings.synchronous_node_count = 3;
    EXPECT_EQ(wish(seen).target.votes, (SyncVotes{{"pg-b", "pg-c"}, 0}));
}

TEST(sync_candidates, stay_while_nobody_is_preferred) {
    auto seen = leading(by_priority).streams_to("pg-b").streams_to("pg-c", Lsn{here.bytes + 10});
    const SyncState now = stands_with({{{"pg-b"}, 1, false}, {{"pg-b"}, 0}});
    EXPECT_EQ(wish(seen, now).target.rule.names, Names{"pg-b"});
    seen.member("pg-c").tags.sync_priority = 2;
    EXPECT_EQ(wish(seen, now).target.rule.names, Names{"pg-c"});
}

TEST(sync_candidates, obey_their_tags) {
    auto seen = leading(by_quorum).streams_to("pg-b").streams_to("pg-c");
    seen.member("pg-c").tags.nosync = true;
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-b"});
    seen.member("pg-c").tags = {};
    seen.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-b"});
    seen.member("pg-c").tags = {};
    seen.member("pg-c").tags.nofailover = true;
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-b"}) << "one that may not lead is of less use";
    seen.member("pg-b").tags.nosync = true;
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-c"}) << "and of some";
    seen.member("pg-c").tags = {};
    seen.member("pg-c").tags.sync_priority = 0;
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-c"}) << "nosync: false beside a priority of zero: it is no ban";
}

TEST(sync_candidates, are_members_of_the_cluster) {
    EXPECT_TRUE(wish(leading(by_quorum).streams_to("pg_receivewal")).target.rule.names.empty());
}

/// The leader looks at its standbys every second; pg-c confirms nothing of what it is sent.
SyncWish after_silence(BuildSnapshot seen, const SyncState& state, Duration silence, bool writes = true) {
    SyncMemory memory;
    remember_standbys(seen, memory);
    for (Duration passed = 0s; passed < silence; passed += 500ms) {
        seen.s.now += 500ms;
        if (writes) {
            seen.s.server.written = Lsn{seen.s.server.written.bytes + 100};
            seen.s.server.replication[0].flushed = seen.s.server.written;
        }
        remember_standbys(seen, memory);
    }
    return sync_wish(seen, state, memory);
}

TEST(sync_candidates, that_confirm_nothing_are_replaced_within_a_ttl) {
    auto seen = leading(by_priority).streams_to("pg-b").streams_to("pg-c");
    seen.s.settings.ttl = 5s;
    const SyncState now = stands_with({{{"pg-c"}, 1, false}, {{"pg-c"}, 0}});
    EXPECT_EQ(after_silence(seen, now, 4s).target.rule.names, Names{"pg-c"});
    EXPECT_EQ(after_silence(seen, now, 6s).target.rule.names, Names{"pg-b"});
    EXPECT_EQ(after_silence(seen, now, 60s, false).target.rule.names, Names{"pg-c"}) << "there is nothing to confirm";
}

TEST(sync_candidates, that_are_slow_are_not_silent) {
    auto seen = leading(by_priority).streams_to("pg-b").streams_to("pg-c");
    seen.s.settings.ttl = 5s;
    SyncMemory memory;
    for (int look = 0; look < 60; ++look) {
        seen.s.now += 1s;
        seen.s.server.written = Lsn{seen.s.server.written.bytes + 1000};
        seen.s.server.replication[1].written =
            Lsn{seen.s.server.replication[1].written.bytes + (look % 3 == 0 ? 1U : 0U)};
        remember_standbys(seen, memory);
    }
    EXPECT_EQ(memory.streamed_at["pg-c"], seen.s.now);
    EXPECT_LT(memory.streamed_at["pg-b"], seen.s.now) << "that one has confirmed nothing at all";
}

TEST(sync_candidates, lag_no_more_than_is_allowed) {
    auto seen = leading(by_quorum).streams_to("pg-b").streams_to("pg-c", Lsn{here.bytes - 1000});
    seen.s.settings.maximum_lag_on_syncnode_bytes = 999;
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-b"});
    seen.s.settings.maximum_lag_on_syncnode_bytes = 1000;
    EXPECT_EQ(wish(seen).target.rule.names, (Names{"pg-b", "pg-c"}));
    seen.s.settings.maximum_lag_on_syncnode_bytes = 999;
    seen.s.server.replication[0].replayed = Lsn{here.bytes - 5000};
    seen.s.server.synchronous_commit = "remote_apply";
    EXPECT_EQ(wish(seen).target.rule.names, Names{"pg-c"}) << "what a commit waits for is what lags";
}

TEST(sync_candidates, may_be_away_for_a_moment) {
    const SyncState now = stands_with({{{"pg-b"}, 1, false}, {{"pg-b"}, 0}});
    const SyncMemory memory{{{"pg-b", BuildSnapshot::start}}, BuildSnapshot::start - 1h};
    ClusterSettings settings;
    settings.ttl = 5s;
    const Duration patience = sync_patience(settings);
    auto seen = leading(by_priority).streams_to("pg-c");
    EXPECT_EQ(wish(seen.at(patience), now, memory).target.rule.names, Names{"pg-b"});
    EXPECT_EQ(wish(seen.at(patience + 1ms), now, memory).target.rule.names, Names{"pg-c"});
}

TEST(sync_candidates, when_nobody_is_left_commits_wait_for_nobody_or_for_ever) {
    const SyncState now = stands_with({{{"pg-b"}, 1, false}, {{"pg-b"}, 0}});
    auto alone = leading(by_priority);
    EXPECT_EQ(wish(alone, now).target.rule, SyncRule{});
    EXPECT_EQ(wish(alone, now).target.votes, SyncVotes{});
    alone.s.settings.synchronous_mode_strict = true;
    EXPECT_EQ(wish(alone, now).target.rule, now.rules[0]) << "the last one may still take over";
    EXPECT_EQ(wish(alone, now).target.votes, now.votes);
    EXPECT_TRUE(wish(alone, now).nobody_left);
    EXPECT_EQ(wish(alone).target.rule, (SyncRule{{impossible_standby}, 1, false}));
}

TEST(sync_candidates, of_a_new_leader_get_time_to_come) {
    const SyncState now = stands_with({{{"pg-b"}, 1, false}, {{"pg-b"}, 0}});
    const SyncMemory memory{{}, BuildSnapshot::start};
    EXPECT_EQ(wish(leading(by_priority), now, memory).target.rule, now.rules[0]);
    EXPECT_EQ(wish(leading(by_priority).at(3s), now, memory).target.rule, SyncRule{});
}

}  // namespace
}  // namespace pgkeel::ha
