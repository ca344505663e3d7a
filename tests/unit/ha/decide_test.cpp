#include "ha/decide.hpp"

#include "build_snapshot.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;

constexpr Lsn here = BuildSnapshot::position;

/// Action and reason, as a log line begins.
std::string gist(const Snapshot& s) {
    const Decision decision = decide(s);
    std::string text = name_of(decision.action);
    if (const auto* demotion = std::get_if<Demote>(&decision.action))
        text += std::string(" ") + to_string(demotion->how);
    return text + ", " + to_string(decision.reason);
}

BuildSnapshot leader() {
    return primary().holds_lease();
}
BuildSnapshot follower() {
    return standby().follows("pg-a");
}

// ---- in peace

TEST(decide, leader_leads_and_standby_follows) {
    EXPECT_EQ(gist(leader()), "wait, leading");
    EXPECT_EQ(gist(follower()), "wait, following");
}

TEST(decide, says_what_patronis_log_says) {
    EXPECT_EQ(decide(leader()).text, "no action. I am (pg-a), the leader with the lock");
    EXPECT_EQ(decide(follower()).text, "no action. I am (pg-b), a secondary, and following a leader (pg-a)");
    EXPECT_EQ(decide(leader().paused()).text, "PAUSE: no action. I am (pg-a), the leader with the lock");
}

TEST(decide, leader_brings_the_history_key_up_to_date) {
    BuildSnapshot b = leader();
    b.s.server.timeline = Timeline{2};
    EXPECT_EQ(gist(b), "update_history, history_outdated");
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, here, "", "", ""}};
    EXPECT_EQ(gist(b), "wait, leading");
}

TEST(decide, leader_writes_the_history_of_a_timeline_that_skips_numbers_once) {
    BuildSnapshot b = leader();
    b.s.server.timeline = Timeline{5};  // 2 to 4 are in the archive
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, here, "", "", ""}};
    EXPECT_EQ(gist(b), "update_history, history_outdated");
    b.s.history_told = Timeline{5};
    EXPECT_EQ(gist(b), "wait, leading");
    b.s.view->has_history = false;
    EXPECT_EQ(gist(b), "update_history, history_outdated") << "somebody has removed it";
}

TEST(decide, standby_follows_a_new_leader_and_compares_histories) {
    EXPECT_EQ(gist(standby()), "follow, leader_changed");
    BuildSnapshot b = standby();
    b.s.following = "pg-a";
    EXPECT_EQ(gist(b), "compare_history, histories_unknown");
    b.member("pg-a").role = Role::replica;
    EXPECT_EQ(gist(b), "wait, following") << "it is not promoted yet";
}

TEST(decide, standby_streams_from_whom_it_was_told_to_while_that_one_runs) {
    BuildSnapshot b = follower();
    b.s.tags.replicatefrom = "pg-c";
    EXPECT_EQ(std::get<Follow>(decide(b).action).source, "pg-c");
    b.member("pg-c").state = "stopped";
    EXPECT_EQ(gist(b), "wait, following");
}

// ---- the lease ends

TEST(decide, primary_stops_when_its_lease_is_about_to_end) {
    const Duration until_demotion = 3500ms;  // ttl 5 s less a margin of 1 s and 0.5 s for the stop
    EXPECT_EQ(gist(primary().holds_lease(until_demotion - 1ms)), "wait, leading");
    EXPECT_EQ(gist(primary().holds_lease(until_demotion)), "demote offline, lease_expiring");
    EXPECT_EQ(gist(primary().holds_lease(until_demotion).without_store()), "demote offline, lease_expiring");
    EXPECT_EQ(gist(primary().holds_lease(until_demotion).busy(Operation::restart)), "demote offline, lease_expiring");
    EXPECT_EQ(gist(primary().holds_lease(until_demotion).busy(Operation::stop)), "wait, operation_in_progress")
        << "it stops already";
}

TEST(decide, leader_without_etcd_stops_when_members_agree_no_more) {
    const auto after = [](Duration since_they_agreed) {
        BuildSnapshot b = primary();
        b.s.settings.ttl = 20s;
        b.s.settings.loop_wait = 2s;
        b.holds_lease(since_they_agreed).without_store();
        b.s.failsafe_active = true;
        return gist(b);
    };
    EXPECT_EQ(after(7s), "wait, store_unreachable") << "one answer is late";
    EXPECT_EQ(after(8s), "demote offline, lease_expiring");
}

TEST(decide, what_may_become_a_primary_stops_too) {
    EXPECT_EQ(gist(primary().holds_lease(4s).starting(1s)), "demote offline, lease_expiring");
    BuildSnapshot unanswered = primary().holds_lease(4s);
    unanswered.s.server.accepts_connections = false;
    unanswered.s.server.query_failed = true;
    EXPECT_EQ(gist(unanswered), "demote offline, lease_expiring");
    BuildSnapshot remains = primary().holds_lease(4s).down(ControlState::in_production);
    remains.s.server.postmaster = Postmaster::remains;
    EXPECT_EQ(gist(remains), "demote offline, lease_expiring");
}

TEST(decide, a_standby_that_restarts_has_no_lock_to_lose) {
    // Its postmaster is gone, the log collector or a walsender still ends.
    BuildSnapshot standby = follower().down(ControlState::shut_down_in_recovery).busy(Operation::restart);
    standby.s.server.postmaster = Postmaster::remains;
    standby.s.server.standby_signal = true;
    EXPECT_EQ(gist(standby), "wait, operation_in_progress");
    standby.s.server.standby_signal = false;
    EXPECT_EQ(gist(standby), "demote immediate-nolock, lease_lost") << "it was a primary";
}

TEST(decide, without_etcd_the_leader_stays_until_it_must_go) {
    const Decision decision = decide(leader().without_store());
    EXPECT_EQ(decision.reason, Reason::store_unreachable);
    EXPECT_EQ(decision.look_again, BuildSnapshot::start + 3500ms);
    EXPECT_EQ(gist(primary().without_store()), "demote offline, lease_expiring") << "a primary without a lease";
    EXPECT_EQ(gist(follower().without_store()), "wait, store_unreachable");
    EXPECT_EQ(gist(primary().without_store().paused()), "wait, store_unreachable");
}

TEST(decide, without_etcd_a_server_that_was_stopped_to_demote_serves_reads) {
    BuildSnapshot b = primary().down(ControlState::shut_down).without_store();
    EXPECT_EQ(gist(b), "wait, store_unreachable") << "it was down before: whose it is, etcd has to tell";
    b.s.stopped_to_demote = true;
    const Decision decision = decide(b);
    EXPECT_FALSE(std::get<StartServer>(decision.action).as_primary);
    EXPECT_EQ(std::get<StartServer>(decision.action).follow, "");
    EXPECT_EQ(gist(BuildSnapshot(b).paused()), "wait, store_unreachable");
    BuildSnapshot failed = b;
    failed.s.retry_start_at = failed.s.now + 1s;
    EXPECT_EQ(gist(failed), "wait, store_unreachable");
    b.s.server.postmaster = Postmaster::remains;
    EXPECT_NE(gist(b), "start_server, store_unreachable") << "first its backends have to end";
}

TEST(decide, a_standby_that_is_down_on_an_older_timeline_compares_histories_before_it_starts) {
    BuildSnapshot b = follower().down(ControlState::shut_down_in_recovery);
    b.s.server.control->checkpoint_timeline = b.s.view->leader_member()->timeline;
    EXPECT_EQ(gist(b), "start_server, server_down");
    for (Member& member : b.s.view->members)
        if (member.name == b.s.view->leader->name) ++member.timeline.id;
    EXPECT_EQ(gist(b), "rejoin, server_down") << "PostgreSQL may refuse to start it";
    b.s.server.control->min_recovery_timeline = b.s.view->leader_member()->timeline;
    EXPECT_EQ(gist(b), "start_server, server_down") << "it has followed there";
}

TEST(decide, a_key_from_before_another_led_is_given_back) {
    BuildSnapshot b = standby("pg-a").holds_lease();
    EXPECT_EQ(gist(b), "promote, leader_in_recovery");
    b.s.key_is_old = true;
    EXPECT_EQ(gist(b), "release_lease, old_key");
    EXPECT_EQ(gist(BuildSnapshot(b).down(ControlState::shut_down_in_recovery)), "release_lease, old_key");
    BuildSnapshot led = leader();
    led.s.key_is_old = true;
    EXPECT_EQ(gist(BuildSnapshot(led).down(ControlState::in_production)), "release_lease, old_key");
    EXPECT_EQ(gist(led), "wait, leading") << "it takes writes, and everybody has gone on without it before";
}

TEST(decide, primary_whose_key_is_anothers_stops_at_once) {
    BuildSnapshot b = leader();
    b.s.view->leader->name = "pg-b";
    EXPECT_EQ(gist(b), "demote immediate-nolock, lease_lost");
    b.s.lease.reset();
    EXPECT_EQ(gist(b), "demote immediate-nolock, another_leader");
    EXPECT_EQ(gist(b.paused()), "wait, paused");
}

TEST(decide, primary_without_a_right_to_the_free_key_stops) {
    BuildSnapshot b = primary().released();
    b.s.view->has_history = true;
    b.s.view->history = {{Timeline{1}, here, "", "", ""}};
    EXPECT_EQ(gist(b), "demote immediate-nolock, no_right_to_lead");
}

TEST(decide, promotion_is_given_up_while_it_can_be) {
    EXPECT_EQ(gist(standby().busy(Operation::promote)), "cancel_operation, lease_lost");
    EXPECT_EQ(gist(standby().busy(Operation::promote, true)), "demote immediate-nolock, lease_lost");
    EXPECT_EQ(gist(primary().busy(Operation::start)), "demote immediate-nolock, lease_lost");
}

// ---- operations

TEST(decide, one_operation_at_a_time) {
    EXPECT_EQ(gist(leader().busy(Operation::promote)), "wait, operation_in_progress");
    EXPECT_EQ(gist(follower().busy(Operation::follow)), "wait, operation_in_progress");
    EXPECT_EQ(decide(leader().busy(Operation::restart)).look_again, BuildSnapshot::start + 3500ms)
        << "the lease goes on ending";
}

// ---- servers that do not run

TEST(decide, crashed_leader_is_started_in_place) {
    const Decision decision = decide(leader().down(ControlState::in_production));
    EXPECT_EQ(decision.reason, Reason::crashed);
    EXPECT_TRUE(std::get<StartServer>(decision.action).as_primary);
}

TEST(decide, crashed_leader_gives_way_where_that_is_preferred_and_possible) {
    BuildSnapshot b = leader().down(ControlState::in_production);
    b.s.settings.primary_start_timeout = 0s;
    EXPECT_EQ(gist(b), "probe_peers, peers_unknown");
    EXPECT_EQ(gist(b.asked("pg-b", here).asked_in_vain("pg-c")), "release_lease, failover_preferred_to_restart");
    EXPECT_EQ(gist(b.asked_in_vain("pg-b")), "start_server, crashed");
}

TEST(decide, leader_that_could_not_be_started_releases_the_key) {
    BuildSnapshot b = leader().down(ControlState::in_production);
    b.s.start_failed = true;
    EXPECT_EQ(gist(b), "release_lease, start_failed");
}

TEST(decide, a_node_that_nobody_would_fence_does_not_lead) {
    BuildSnapshot b = leader();
    b.s.unfit_to_lead = "the guardian does not run";
    EXPECT_EQ(gist(b), "demote graceful, not_fenced");
    EXPECT_EQ(gist(b.paused()), "wait, leading") << "a paused primary goes on without an agent, too";
    b = standby().holds_lease();
    b.s.unfit_to_lead = "the guardian does not run";
    EXPECT_EQ(gist(b), "release_lease, not_fenced");
    b = leader().down(ControlState::in_production);
    b.s.unfit_to_lead = "the guardian does not run";
    EXPECT_EQ(gist(b), "release_lease, not_fenced");
    b = follower();
    b.s.unfit_to_lead = "the guardian does not run";
    EXPECT_EQ(gist(b), "wait, following");
}

TEST(decide, a_primary_that_cannot_write_makes_way_for_a_node_that_can) {
    BuildSnapshot b = leader();
    b.s.cannot_write = "nothing can be written to /data: No space left on device";
    EXPECT_EQ(gist(b), "probe_peers, peers_unknown");
    EXPECT_EQ(gist(b.asked_in_vain("pg-b").asked_in_vain("pg-c")), "wait, leading") << "nobody could take over";
    b.asked("pg-b", here);
    EXPECT_EQ(gist(b), "demote immediate, cannot_write");
    EXPECT_EQ(gist(BuildSnapshot(b).paused()), "wait, leading");
    b.s.writes_hang = true;
    EXPECT_EQ(gist(b), "demote immediate-nolock, cannot_write") << "its processes may not end: the lease has to";
    b.s.peers["pg-b"].cannot_write = true;
    EXPECT_EQ(gist(b), "wait, leading") << "no better than this one";
}

TEST(decide, a_crashed_primary_that_cannot_write_is_not_started_where_another_can) {
    BuildSnapshot b = leader().down(ControlState::in_production);
    b.s.cannot_write = "nothing can be written to /data: Input/output error";
    EXPECT_EQ(gist(b), "probe_peers, peers_unknown");
    EXPECT_EQ(gist(BuildSnapshot(b).asked_in_vain("pg-b").asked_in_vain("pg-c")), "start_server, crashed");
    EXPECT_EQ(gist(b.asked("pg-b", here).asked_in_vain("pg-c")), "release_lease, cannot_write");
}

TEST(decide, leader_whose_data_is_a_standbys_starts_as_one_first) {
    BuildSnapshot b = standby("pg-a").holds_lease().down(ControlState::in_archive_recovery);
    const Decision decision = decide(b);
    EXPECT_EQ(decision.reason, Reason::leader_in_recovery);
    EXPECT_FALSE(std::get<StartServer>(decision.action).as_primary);
}

TEST(decide, remains_of_a_server_are_ended_before_anything_else) {
    BuildSnapshot b = leader().down(ControlState::in_production);
    b.s.server.postmaster = Postmaster::remains;
    EXPECT_EQ(gist(b), "kill_remains, orphaned_backends");
}

TEST(decide, crashed_standby_is_started_and_a_former_primary_rejoins) {
    EXPECT_EQ(gist(follower().down(ControlState::in_archive_recovery)), "start_server, server_down");
    EXPECT_EQ(gist(primary("pg-b").down(ControlState::in_production)), "rejoin, server_down");
    BuildSnapshot b = primary("pg-b").down(ControlState::shut_down);
    b.member("pg-a").checkpoint_after_promote_pending = true;
    EXPECT_EQ(gist(b), "wait, waiting_for_leader");
}

TEST(decide, server_that_failed_to_start_has_a_pause) {
    BuildSnapshot b = follower().down(ControlState::in_archive_recovery);
    b.s.retry_start_at = b.s.now + 1s;
    EXPECT_EQ(gist(b), "wait, start_failed_recently");
}

TEST(decide, node_without_a_lease_never_starts_a_primary) {
    for (const auto state : {ControlState::in_production, ControlState::shut_down, ControlState::shutting_down,
                             ControlState::in_crash_recovery, ControlState::in_archive_recovery,
                             ControlState::shut_down_in_recovery, ControlState::unknown})
        for (const bool key_is_there : {true, false})
            for (const bool history_diverged : {true, false}) {
                BuildSnapshot b = primary("pg-b").down(state);
                if (!key_is_there) b.released();
                b.s.history_diverged = history_diverged;
                const Decision decision = decide(b);
                if (const auto* start = std::get_if<StartServer>(&decision.action)) {
                    EXPECT_FALSE(start->as_primary) << static_cast<int>(state);
                }
            }
}

TEST(decide, leader_that_starts_too_slowly_gives_way_to_a_healthy_standby) {
    BuildSnapshot b = leader().starting(300s);
    EXPECT_EQ(gist(b), "wait, server_starting");
    b = leader().starting(301s);
    EXPECT_EQ(gist(b), "probe_peers, peers_unknown");
    EXPECT_EQ(gist(b.asked_in_vain("pg-b").asked_in_vain("pg-c")), "wait, server_starting");
    EXPECT_EQ(gist(b.asked("pg-b", here)), "demote immediate, startup_too_slow");
}

TEST(decide, starting_primary_stops_when_another_leads) {
    BuildSnapshot b = primary("pg-b").starting(1s);
    EXPECT_EQ(gist(b), "demote immediate-nolock, another_leader");
}

// ---- data directories

TEST(decide, empty_nodes_make_one_cluster) {
    BuildSnapshot b = standby().empty();
    b.s.view = ClusterView{};
    EXPECT_EQ(gist(b), "wait, waiting_for_bootstrap") << "without a bootstrap section";
    b.s.abilities.has_bootstrap_section = true;
    EXPECT_EQ(gist(b), "bootstrap_cluster, new_cluster");
    b.s.view->initialize = "pg-c/1";
    EXPECT_EQ(gist(b), "wait, waiting_for_bootstrap");
}

TEST(decide, empty_node_clones_the_leader_or_who_offers_itself) {
    BuildSnapshot b = standby().empty();
    EXPECT_EQ(std::get<Clone>(decide(b).action).from, "pg-a");
    EXPECT_EQ(decide(b).reason, Reason::data_missing);
    b.member("pg-c").tags.clonefrom = true;
    EXPECT_EQ(std::get<Clone>(decide(b).action).from, "pg-c");
    b.member("pg-c").state = "stopped";
    EXPECT_EQ(std::get<Clone>(decide(b).action).from, "pg-a");
    b.member("pg-a").role = Role::replica;
    EXPECT_EQ(gist(b), "wait, waiting_for_leader");
}

TEST(decide, leader_without_data_gives_the_key_back) {
    EXPECT_EQ(gist(leader().empty()), "release_lease, data_missing");
}

TEST(decide, directory_that_is_not_postgresqls_ends_the_agent) {
    BuildSnapshot b = standby().empty();
    b.s.server.data_directory = DataDirectory::foreign;
    EXPECT_EQ(gist(b), "exit, foreign_data");
}

TEST(decide, data_of_another_cluster_ends_the_agent) {
    BuildSnapshot b = follower();
    b.s.server.system_identifier = "7000000000000000666";
    EXPECT_EQ(gist(b), "exit, system_identifier_mismatch");
    EXPECT_EQ(gist(b.paused()), "wait, system_identifier_mismatch");
    EXPECT_EQ(gist(b.holds_lease()), "release_lease, system_identifier_mismatch");
}

TEST(decide, lost_initialize_key_is_written_by_who_leads_or_led) {
    BuildSnapshot b = leader();
    b.s.view->initialize.reset();
    EXPECT_EQ(gist(b), "claim_initialize, initialize_missing");
    b = follower();
    b.s.view->initialize.reset();
    EXPECT_EQ(gist(b), "wait, following");
    EXPECT_EQ(gist(b.no_leader_key()), "wait, initialize_missing")
        << "a standby alone does not make itself the cluster";
}

// ---- becoming the leader

TEST(decide, key_that_names_this_node_is_taken_up) {
    EXPECT_EQ(gist(primary()), "adopt_lease, lease_is_ours");
    EXPECT_EQ(gist(primary().down(ControlState::in_production)), "adopt_lease, lease_is_ours");
}

TEST(decide, holder_in_recovery_is_promoted) {
    EXPECT_EQ(gist(standby("pg-a").holds_lease()), "promote, leader_in_recovery");
    BuildSnapshot diverged = standby("pg-a").holds_lease();
    diverged.s.history_diverged = true;
    EXPECT_EQ(gist(diverged), "release_lease, history_diverged");
}

TEST(decide, late_heartbeat_makes_a_standby_ask_and_wait) {
    BuildSnapshot b = follower().at(2600ms);
    EXPECT_EQ(gist(b), "probe_peers, suspicion");
    EXPECT_EQ(gist(b.asked_in_vain("pg-a").asked("pg-c", here)), "wait, waiting_for_race");
}

TEST(decide, stale_key_is_taken_by_the_best) {
    BuildSnapshot b = follower().at(5200ms).asked_in_vain("pg-a").asked("pg-c", here);
    EXPECT_EQ(gist(b), "take_lease, election_won");
    EXPECT_EQ(gist(b.asked("pg-c", Lsn{here.bytes + 1})), "wait, not_the_healthiest");
    b.s.tags.nofailover = true;
    EXPECT_EQ(gist(b), "wait, not_allowed_to_promote");
}

TEST(decide, chosen_candidate_takes_the_released_key_and_others_yield) {
    BuildSnapshot b =
        follower().released().asked_in_vain("pg-a").asked("pg-c", here).requests(switchover("pg-a", "pg-b"));
    EXPECT_EQ(gist(b), "take_lease, manual_candidate");
    BuildSnapshot a = standby("pg-a").released().asked("pg-b", here).asked("pg-c", here);
    a.s.yield_until = a.s.now + 2s;
    EXPECT_EQ(gist(a), "wait, yielding");
}

// ---- what operators ask for

TEST(decide, requested_switchover_is_carried_out_or_cleared) {
    BuildSnapshot b = leader().requests(switchover("pg-a", "pg-b"));
    EXPECT_EQ(gist(b), "probe_peers, peers_unknown");
    EXPECT_EQ(gist(b.asked("pg-b", here)), "demote graceful, switchover_requested");
    EXPECT_EQ(gist(b.asked_in_vain("pg-b")), "clear_failover, switchover_impossible");
}

TEST(decide, requested_reinit_waits_for_a_leader) {
    BuildSnapshot b = follower();
    b.s.reinit_requested = true;
    EXPECT_EQ(gist(b), "reinitialize, reinit_requested");
    EXPECT_EQ(gist(b.no_leader_key()), "wait, reinit_requested");
}

TEST(decide, standby_that_stays_on_an_older_timeline_compares_its_history_again) {
    BuildSnapshot b = follower();
    b.s.history_tried_at = b.s.now - 11s;
    EXPECT_EQ(gist(b), "wait, following");
    b.s.view->members.front().timeline = Timeline{3};
    EXPECT_EQ(gist(b), "compare_history, histories_unknown");
    b.s.history_tried_at = b.s.now - 9s;
    EXPECT_EQ(gist(b), "wait, following") << "it may be on its way";
}

TEST(decide, diverged_standby_is_rewound_remade_or_reported) {
    BuildSnapshot b = follower();
    b.s.history_diverged = true;
    EXPECT_EQ(gist(b), "rejoin, history_diverged");
    b.member("pg-a").checkpoint_after_promote_pending = true;
    EXPECT_EQ(gist(b), "wait, history_diverged");
    b.s.abilities.can_rewind = false;
    EXPECT_EQ(gist(b), "wait, history_diverged");
    b.s.abilities.remove_data_on_diverged_timelines = true;
    EXPECT_EQ(gist(b), "reinitialize, history_diverged");
    EXPECT_EQ(gist(b.paused()), "wait, following");
}

// ---- pause

TEST(decide, paused_cluster_is_left_alone) {
    EXPECT_EQ(gist(leader().paused()), "wait, leading");
    EXPECT_EQ(gist(follower().down(ControlState::in_archive_recovery).paused()), "wait, paused");
    EXPECT_EQ(gist(follower().released().paused()), "wait, paused");
    EXPECT_EQ(gist(standby().empty().paused()), "wait, paused");
    EXPECT_EQ(gist(primary().holds_lease(1h).paused()), "wait, leading") << "an old lease ends nothing";
}

TEST(decide, paused_leader_without_a_primary_gives_the_key_back) {
    EXPECT_EQ(gist(leader().down(ControlState::in_production).paused()), "release_lease, leader_without_server");
    BuildSnapshot b = standby("pg-a").holds_lease().paused();
    EXPECT_EQ(gist(b), "release_lease, leader_without_server");
    EXPECT_EQ(gist(b.requests(failover_to("pg-a"))), "promote, leader_in_recovery") << "an operator chose it";
}

// ---- the words themselves

TEST(decide, every_reason_action_and_operation_has_a_name) {
    for (int i = 0; i <= static_cast<int>(Reason::startup_too_slow); ++i)
        EXPECT_STRNE(to_string(static_cast<Reason>(i)), "unknown") << i;
    for (int i = 0; i <= static_cast<int>(Demotion::offline); ++i)
        EXPECT_STRNE(to_string(static_cast<Demotion>(i)), "unknown") << i;
    for (int i = 0; i <= static_cast<int>(Operation::follow); ++i)
        EXPECT_STRNE(to_string(static_cast<Operation>(i)), "unknown") << i;
}

TEST(decide, is_pure) {
    for (const Snapshot& s : {Snapshot(leader()), Snapshot(follower()), Snapshot(follower().at(5200ms)),
                              Snapshot(primary().without_store())}) {
        const Decision first = decide(s);
        const Decision second = decide(s);
        EXPECT_STREQ(name_of(first.action), name_of(second.action));
        EXPECT_EQ(first.text, second.text);
        EXPECT_EQ(first.look_again, second.look_again);
    }
}

// ---- a directory that was emptied under its server

TEST(decide, processes_that_outlived_their_data_are_ended_before_the_lease_is_released) {
    for (const Postmaster left : {Postmaster::remains, Postmaster::running}) {
        BuildSnapshot b = leader().empty();
        b.s.server.postmaster = left;
        EXPECT_EQ(gist(b), "kill_remains, orphaned_backends");
    }
    EXPECT_EQ(gist(leader().empty()), "release_lease, data_missing");
}

TEST(decide, a_postmaster_that_stands_still_for_long_is_ended_like_one_that_crashed) {
    for (BuildSnapshot b : {leader(), follower()}) {
        const std::string healthy = gist(b);
        b.s.server.halted = b.s.server.query_failed = true;
        b.s.server_halted_since = b.s.now - 9s;
        EXPECT_EQ(gist(b), healthy) << "a debugger's breakpoint";
        b.s.server_halted_since = b.s.now - 10s;
        EXPECT_EQ(gist(b), "kill_remains, postmaster_halted");
        EXPECT_NE(gist(BuildSnapshot(b).paused()), "kill_remains, postmaster_halted") << "somebody is at work";
    }
}

TEST(decide, what_an_interrupted_rewind_has_left_is_not_started) {
    BuildSnapshot b = follower().down(ControlState::in_archive_recovery);
    b.s.server.data_directory = DataDirectory::damaged;
    EXPECT_EQ(gist(b), "reinitialize, data_damaged") << "nothing in it can ever be used";
    EXPECT_EQ(gist(BuildSnapshot(b).no_leader_key()), "wait, data_damaged") << "there is nobody to copy from";
    EXPECT_EQ(gist(BuildSnapshot(b).paused()), "wait, paused");
    BuildSnapshot early = b;
    early.s.view->members[0].role = Role::replica;
    EXPECT_EQ(gist(early), "wait, data_damaged") << "who has the key is no primary yet";
    b.s.retry_start_at = b.s.now + 1s;
    EXPECT_EQ(gist(b), "wait, start_failed_recently");
    b.s.retry_start_at = b.s.now;

    BuildSnapshot elsewhere = b;
    elsewhere.s.server.system_identifier = "7000000000000000009";
    elsewhere.s.view->initialize = "7000000000000000001";
    EXPECT_EQ(gist(elsewhere), "wait, system_identifier_mismatch");
    BuildSnapshot started = b;
    started.s.server.postmaster = Postmaster::running;
    EXPECT_EQ(gist(started), "kill_remains, orphaned_backends") << "by hand, or by the distribution's service";

    b.s.abilities.keep_damaged_data = true;
    EXPECT_EQ(gist(b), "wait, data_damaged") << "somebody wants to look at it";
    b.s.reinit_requested = true;
    EXPECT_EQ(gist(b), "reinitialize, data_damaged");
}

}  // namespace
}  // namespace pgkeel::ha
