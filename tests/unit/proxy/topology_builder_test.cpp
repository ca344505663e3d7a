#include "proxy/topology_builder.hpp"

#include "cluster/keys.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;
using config::Route;

/// The keys of a cluster, and the builder that sees them.
struct Cluster : testing::Test {
    void lead(const std::string& name, std::int64_t epoch) {
        view.leader = LeaderKey{.name = name, .create_revision = epoch, .mod_revision = epoch};
    }
    Member& member(const std::string& name, const std::string& json) {
        Member read = cluster::parse_member(name, {.key = "k", .value = json});
        for (Member& one : view.members)
            if (one.name == name) return one = read;
        view.members.push_back(read);
        return view.members.back();
    }
    void primary(const std::string& name, std::uint64_t location, int timeline = 1) {
        member(name,
               fmt::format(R"({{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary",)"
                           R"("xlog_location":{},"timeline":{},"pgkeel":"1"}})",
                           location, timeline));
    }
    void standby(const std::string& name, std::uint64_t replayed, int timeline = 1, bool streams = true) {
        member(name,
               fmt::format(R"({{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica",)"
                           R"("xlog_location":{},"replay_lsn":{},"timeline":{},"pgkeel":"1"{}}})",
                           replayed + 1000, replayed, timeline, streams ? R"(,"replication_state":"streaming")" : ""));
    }
    void see() { builder.saw(view, now); }
    Topology build() const { return builder.build(false, now); }
    std::string readers() const {
        const Topology topology = build();
        std::string names;
        for (const Place* place : places_for(topology, Route::standby)) names += place->name;
        return names;
    }

    ClusterView view;
    std::vector<SocketClaim> here;
    TopologyBuilder builder{[this](const SocketClaim& claim) { return std::ranges::find(here, claim) != here.end(); }};
    Instant now{1000s};
};
using topology_builder = Cluster;

TEST_F(topology_builder, shows_the_members_as_their_keys_tell_them) {
    view.initialize = "7000";
    lead("a", 17);
    primary("a", 5000);
    standby("b", 4000);
    see();
    const Topology topology = build();
    EXPECT_EQ(topology.cluster_id, "7000");
    EXPECT_EQ(topology.epoch, 17);
    ASSERT_NE(topology.leader_place(), nullptr);
    EXPECT_EQ(topology.leader_place()->host, "10.0.0.1");
    ASSERT_NE(topology.place("b"), nullptr);
    EXPECT_EQ(topology.place("b")->lag_bytes, 1000U) << "behind by what it has not replayed";
    EXPECT_FALSE(builder.is_unsettled());
    EXPECT_TRUE(builder.build(true, now).stale);
}

TEST_F(topology_builder, takes_whichever_spoke_last) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    see();
    builder.heard("b", {.role = Role::replica, .state = "stopping"}, now += 1s);
    EXPECT_EQ(build().place("b")->state, "stopping");
    see();  // the same key once more says nothing new
    EXPECT_EQ(build().place("b")->state, "stopping");
    standby("b", 5001);
    see();
    EXPECT_EQ(build().place("b")->state, "running");
    builder.heard("c", {.role = Role::replica, .state = "running"}, now);
    EXPECT_EQ(build().place("c"), nullptr) << "its key is gone";
}

TEST_F(topology_builder, calls_no_lag_what_was_written_between_two_looks) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    see();
    now += 1s;
    builder.heard("a", {.role = Role::primary, .state = "running", .position = Lsn{900000}}, now);
    EXPECT_EQ(build().place("b")->lag_bytes, 0U);
    builder.heard(
        "b", {.role = Role::replica, .state = "running", .replication_state = "streaming", .position = Lsn{890000}},
        now + 1ms);
    EXPECT_EQ(build().place("b")->lag_bytes, 10000U);
    // The other way round: the standby's answer comes first.
    now += 1s;
    builder.heard(
        "b", {.role = Role::replica, .state = "running", .replication_state = "streaming", .position = Lsn{1000000}},
        now);
    builder.heard("a", {.role = Role::primary, .state = "running", .position = Lsn{1000300}}, now + 1ms);
    EXPECT_EQ(build().place("b")->lag_bytes, 300U);
}

TEST_F(topology_builder, a_new_leader_is_unsettled_until_it_is_a_primary) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    see();
    lead("b", 30);
    see();
    EXPECT_TRUE(builder.is_unsettled());
    EXPECT_EQ(build().leader_place()->name, "b");
    builder.heard("b", {.role = Role::primary, .state = "running", .timeline = Timeline{2}, .position = Lsn{5100}},
                  now);
    EXPECT_FALSE(builder.is_unsettled());
    view.leader.reset();
    see();
    EXPECT_FALSE(builder.is_unsettled());
    EXPECT_EQ(build().epoch, 0);
}

TEST_F(topology_builder, measures_against_the_new_leader_although_the_old_one_was_further) {
    lead("a", 17);
    primary("a", 900'000'000);
    standby("b", 5000);
    standby("c", 5000);
    see();
    EXPECT_EQ(build().place("c")->lag_bytes, 899'995'000U);
    lead("b", 30);
    builder.saw(view, now += 5s);
    builder.heard("b", {.role = Role::primary, .state = "running", .position = Lsn{5100}}, now);
    builder.heard("c", {.role = Role::replica, .state = "running", .position = Lsn{5000}}, now);
    EXPECT_EQ(build().place("c")->lag_bytes, 100U);
}

TEST_F(topology_builder, gives_a_standby_time_to_follow_a_new_primary_but_not_for_ever) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    standby("c", 5000);
    see();
    EXPECT_EQ(readers(), "bc");
    // The primary is gone for a minute: nobody can stream, and reads go on.
    view.leader.reset();
    view.members.erase(view.members.begin());
    standby("b", 5000, 1, false);
    standby("c", 5000, 1, false);
    see();
    now += 60s;
    see();
    EXPECT_EQ(readers(), "bc");
    lead("b", 30);
    primary("b", 5000, 2);
    see();
    EXPECT_EQ(readers(), "c");
    now += 11s;
    see();
    EXPECT_EQ(readers(), "b") << "the primary itself: c never followed";
    standby("c", 5000, 1);
    see();
    EXPECT_EQ(readers(), "b") << "it streams, but the old timeline";
    standby("c", 5000, 2);
    see();
    EXPECT_EQ(readers(), "c");
}

TEST_F(topology_builder, a_new_standby_is_not_read_before_it_streams) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000, 1, false);
    see();
    EXPECT_EQ(readers(), "a");
    standby("b", 5000);
    see();
    EXPECT_EQ(readers(), "b");
}

TEST_F(topology_builder, an_old_patroni_that_tells_nothing_of_its_stream_is_judged_by_its_lag) {
    lead("a", 17);
    primary("a", 5000);
    member("b", R"({"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica",)"
                R"("xlog_location":4900,"timeline":1,"version":"2.1.4"})");
    see();
    EXPECT_EQ(readers(), "b");
    EXPECT_EQ(build().place("b")->lag_bytes, 100U);
}

TEST_F(topology_builder, a_member_that_has_fallen_silent_is_not_read_and_one_that_never_spoke_is) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    standby("c", 5000);
    see();
    builder.heard(
        "b", {.role = Role::replica, .state = "running", .replication_state = "streaming", .position = Lsn{5000}}, now);
    EXPECT_EQ(readers(), "bc");
    now += 4s;
    EXPECT_EQ(readers(), "c");
}

TEST_F(topology_builder, forgets_who_has_left_but_not_where_the_leader_is) {
    lead("a", 17);
    primary("a", 5000);
    standby("b", 5000);
    see();
    view.members.clear();
    see();
    const Topology topology = build();
    EXPECT_EQ(topology.place("b"), nullptr);
    ASSERT_NE(topology.leader_place(), nullptr);
    EXPECT_EQ(topology.leader_place()->host, "10.0.0.1");
}

TEST_F(topology_builder, names_a_unix_socket_only_while_it_is_proven) {
    lead("a", 17);
    member("a", R"({"conn_url":"postgres://10.0.0.1:5433/postgres","state":"running","role":"primary",)"
                R"("unix_socket":"/run/a","unix_socket_id":"this:1:2"})");
    see();
    EXPECT_EQ(build().places[0].unix_socket, "");
    here.push_back({.directory = "/run/a", .id = "this:1:2", .port = "5433"});
    builder.check_sockets();
    EXPECT_EQ(build().places[0].unix_socket, "/run/a");
    here.clear();
    builder.check_sockets();
    EXPECT_EQ(build().places[0].unix_socket, "");
}

}  // namespace
}  // namespace pgkeel::proxy
