#include "ha/standby_cluster.hpp"

#include "build_snapshot.hpp"
#include "ha/decide.hpp"
#include "ha/election.hpp"
#include "ha/wal_source.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;

const RemotePrimary remote{.host = "db1", .port = "5432", .slot_name = "pm_1"};
const std::string source = "the remote primary db1:5432 with slot pm_1";

std::string gist(const Snapshot& s) {
    const Decision decision = decide(s);
    std::string text = name_of(decision.action);
    if (const auto* demotion = std::get_if<Demote>(&decision.action))
        text += std::string(" ") + to_string(demotion->how);
    if (const auto* follow = std::get_if<Follow>(&decision.action)) text += " " + follow->source;
    if (const auto* rejoin = std::get_if<Rejoin>(&decision.action)) text += " " + rejoin->leader;
    if (const auto* start = std::get_if<StartServer>(&decision.action))
        text += start->as_primary ? " as primary" : " as standby of " + start->follow;
    return text + ", " + to_string(decision.reason);
}

BuildSnapshot in_standby_cluster(BuildSnapshot b) {
    b.s.settings.standby_cluster = true;
    b.s.settings.remote = remote;
    b.member("pg-a").role = Role::standby_leader;
    return b;
}
/// pg-a leads and streams from the remote primary.
BuildSnapshot standby_leader() {
    BuildSnapshot b = in_standby_cluster(standby("pg-a").holds_lease());
    b.s.following = source;
    b.s.server.replication_state = "streaming";
    return b;
}
BuildSnapshot follower() {
    BuildSnapshot b = in_standby_cluster(standby().follows("pg-a"));
    b.s.server.replication_state = "streaming";
    return b;
}

TEST(standby_cluster, is_led_in_recovery_and_followed) {
    EXPECT_EQ(gist(standby_leader()), "wait, leading");
    EXPECT_EQ(decide(standby_leader()).text, "no action. I am (pg-a), the standby leader with the lock");
    EXPECT_EQ(gist(follower()), "wait, following");
    EXPECT_EQ(decide(follower()).text, "no action. I am (pg-b), a secondary, and following a standby leader (pg-a)");
}

TEST(standby_cluster, its_new_leader_turns_to_the_remote_primary) {
    BuildSnapshot b = standby_leader();
    b.s.following = "pg-b";
    EXPECT_EQ(gist(b), "follow " + source + ", leader_changed");
    b.s.settings.remote = {};
    EXPECT_EQ(gist(b), "follow the remote archive, leader_changed");
}

TEST(standby_cluster, another_address_or_slot_is_another_source) {
    BuildSnapshot b = standby_leader();
    b.s.settings.remote.slot_name.clear();
    EXPECT_EQ(gist(b), "follow the remote primary db1:5432, leader_changed");
}

TEST(standby_cluster, a_primary_in_it_stops_and_goes_on_leading) {
    BuildSnapshot b = in_standby_cluster(primary().holds_lease());
    EXPECT_EQ(gist(b), "demote demote-cluster, standby_cluster");
    EXPECT_EQ(gist(b.paused()), "wait, paused");
    BuildSnapshot down = in_standby_cluster(primary().down(ControlState::shut_down).holds_lease());
    EXPECT_EQ(gist(down), "rejoin " + source + ", server_down") << "its history is compared before it follows";
    down.s.settings.remote.host.clear();
    EXPECT_EQ(gist(down), "start_server as standby of the remote archive, leader_in_recovery");
}

TEST(standby_cluster, is_promoted_when_the_section_is_gone) {
    BuildSnapshot b = standby_leader();
    b.s.settings.standby_cluster = false;
    EXPECT_EQ(gist(b), "promote, leader_in_recovery");
}

TEST(standby_cluster, compares_with_the_remote_primary_while_no_wal_arrives) {
    BuildSnapshot b = standby_leader();
    b.s.server.replication_state.clear();
    EXPECT_EQ(gist(b), "compare_history, histories_unknown");
    b.s.history_tried_at = b.s.now;
    EXPECT_EQ(gist(b), "wait, leading");
    EXPECT_EQ(decide(b).look_again, b.s.now + 10s);
    b.at(10s).holds_lease();
    EXPECT_EQ(gist(b), "compare_history, histories_unknown");
    b.s.settings.remote = {};
    b.s.following = "the remote archive";
    EXPECT_EQ(gist(b), "wait, leading") << "an archive cannot be asked";
}

TEST(standby_cluster, a_diverged_leader_is_rewound_to_the_remote_primary) {
    BuildSnapshot b = standby_leader();
    b.s.history_diverged = true;
    EXPECT_EQ(gist(b), "rejoin " + source + ", history_diverged");
    b.s.abilities.can_rewind = false;
    EXPECT_EQ(gist(b), "wait, history_diverged");
}

TEST(standby_cluster, a_diverged_follower_is_rewound_to_the_remote_primary_too) {
    BuildSnapshot b = follower();
    b.s.history_diverged = true;
    EXPECT_EQ(gist(b), "rejoin " + source + ", history_diverged");
}

TEST(standby_cluster, elects_a_leader_without_a_promotion) {
    BuildSnapshot b = follower().released().asked("pg-c", BuildSnapshot::position).asked_in_vain("pg-a");
    const Decision decision = decide_race(b);
    EXPECT_TRUE(is<TakeLease>(decision));
    EXPECT_EQ(decision.text, "promoted self to a standby leader by acquiring session lock");
}

TEST(standby_cluster, a_switchover_needs_no_stop) {
    BuildSnapshot b = standby_leader().requests(switchover("pg-a", "pg-b")).asked("pg-b", BuildSnapshot::position);
    const Decision decision = decide(b);
    EXPECT_TRUE(is<ReleaseLease>(decision));
    EXPECT_EQ(decision.text, "switchover: releasing the leader key for pg-b");
    EXPECT_EQ(decision.look_again, Instant::max());
}

TEST(standby_cluster, a_failed_start_gives_another_the_lead) {
    BuildSnapshot b = in_standby_cluster(standby("pg-a").down(ControlState::in_archive_recovery).holds_lease());
    b.s.server.standby_signal = true;
    EXPECT_EQ(gist(b), "start_server as standby of " + source + ", leader_in_recovery");
    b.s.start_failed = true;
    EXPECT_EQ(gist(b), "release_lease, start_failed");
}

TEST(standby_cluster, begins_with_a_copy_or_with_data_that_is_there) {
    BuildSnapshot empty = in_standby_cluster(standby().empty().no_leader_key());
    empty.s.view->initialize.reset();
    empty.s.abilities.has_bootstrap_section = true;
    EXPECT_EQ(gist(empty), "bootstrap_cluster, new_cluster");
    BuildSnapshot present = in_standby_cluster(standby().down(ControlState::shut_down_in_recovery).no_leader_key());
    present.s.view->initialize.reset();
    present.s.server.standby_signal = true;
    EXPECT_EQ(gist(present), "claim_initialize, initialize_missing");
}

// ---- who follows whom

TEST(wal_source, is_the_leader_the_member_named_the_remote_primary_or_the_archive) {
    EXPECT_EQ(wal_source(follower()), "pg-a");
    EXPECT_EQ(wal_source(standby_leader()), source);
    BuildSnapshot b = follower();
    b.s.tags.replicatefrom = "pg-c";
    EXPECT_EQ(wal_source(b), "pg-c");
    b.member("pg-c").state = "stopped";
    EXPECT_EQ(wal_source(b), "pg-a");
    b.s.tags.nostream = true;
    EXPECT_EQ(wal_source(b), archive_source);
    EXPECT_EQ(wal_source(b.no_leader_key()), "");
}

TEST(nostream, follows_the_archive_and_is_no_candidate) {
    BuildSnapshot b = standby().follows("pg-a");
    b.s.tags.nostream = true;
    EXPECT_EQ(gist(b), "follow the archive, leader_changed");
    b.s.following = archive_source;
    EXPECT_EQ(gist(b), "wait, following");
    b.released().asked("pg-c", BuildSnapshot::position).asked_in_vain("pg-a");
    EXPECT_EQ(gist(b), "wait, not_allowed_to_promote");
    EXPECT_TRUE(is<TakeLease>(decide(b.requests(failover_to("pg-b"))))) << "an operator may want it";
}

}  // namespace
}  // namespace pgkeel::ha
