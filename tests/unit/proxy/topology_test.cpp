#include "proxy/topology.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;
using config::Route;

constexpr Instant now{1000s};

Place standby(const std::string& name) {
    return {.name = name,
            .host = "10.0.0.1",
            .port = "5432",
            .role = Role::replica,
            .state = "running",
            .replication_state = "streaming",
            .position = Lsn{100},
            .lag_bytes = 0,
            .last_heard = now - 1s};
}

Place leader(const std::string& name) {
    Place place = standby(name);
    place.leads = true;
    place.role = Role::primary;
    place.replication_state.clear();
    return place;
}

Topology topology(std::vector<Place> places) {
    Topology one{.cluster_id = "7", .places = std::move(places), .built_at = now};
    for (const Place& place : one.places)
        if (place.leads) {
            one.leader = place.name;
            one.epoch = 5;
        }
    return one;
}

std::set<std::string> names(const Topology& one, Route route, const RouteLimits& limits = {}) {
    std::set<std::string> all;
    for (const Place* place : places_for(one, route, limits)) all.insert(place->name);
    return all;
}

using Names = std::set<std::string>;

TEST(topology, the_leader_key_alone_says_who_is_written_to) {
    Topology one = topology({standby("a"), leader("b"), standby("c")});
    one.places[0].role = Role::primary;  // isolated, and still believes it
    EXPECT_EQ(names(one, Route::primary), Names{"b"});
    EXPECT_EQ(names(one, Route::split), Names{"b"});
    one.places[1].role = Role::replica;  // not promoted yet
    EXPECT_EQ(names(one, Route::primary), Names{"b"});
    EXPECT_EQ(names(one, Route::standby), Names{"c"});
}

TEST(topology, without_a_leader_nobody_is_written_to_and_standbys_are_still_read) {
    const Topology one = topology({standby("a"), standby("b")});
    EXPECT_EQ(names(one, Route::primary), Names{});
    EXPECT_EQ(names(one, Route::standby), (Names{"a", "b"}));
    EXPECT_EQ(names(one, Route::any), (Names{"a", "b"}));
}

TEST(topology, a_leader_without_an_address_is_no_place) {
    Topology one = topology({leader("a")});
    one.places[0].host.clear();
    EXPECT_EQ(names(one, Route::primary), Names{});
    EXPECT_EQ(names(one, Route::any), Names{});
    one.places[0].unix_socket = "/run/a";
    EXPECT_EQ(names(one, Route::primary), Names{"a"});
    one.leader = "gone";
    EXPECT_EQ(names(one, Route::primary), Names{});
}

TEST(topology, standbys_that_must_not_be_read_are_left_out_each_with_its_reason) {
    const RouteLimits limits{.lag_bytes_max = 1000};
    Topology one = topology({leader("a"), standby("b"), standby("c")});
    Place& bad = one.places[2];
    const auto expect_unfit = [&](const std::string& why) {
        const auto said = unfit_for_reads(one, bad, limits);
        ASSERT_TRUE(said) << why;
        EXPECT_NE(said->find(why), std::string::npos) << *said;
        EXPECT_EQ(names(one, Route::standby, limits), Names{"b"});
        EXPECT_EQ(names(one, Route::any, limits), (Names{"a", "b"}));
        bad = standby("c");
    };
    bad.noloadbalance = true;
    expect_unfit("noloadbalance");
    bad.role = Role::primary;
    expect_unfit("role is primary");
    bad.state = "starting";
    expect_unfit("state is starting");
    bad.last_heard = now - 3001ms;
    expect_unfit("has not answered");
    bad.out_of_step_since = now - 10001ms;
    expect_unfit("does not stream");
    bad.lag_bytes.reset();
    expect_unfit("lag is not known");
    bad.lag_bytes = 1001;
    expect_unfit("1001 bytes behind, at most 1000");
    bad.host.clear();
    expect_unfit("no address");
    EXPECT_EQ(names(one, Route::standby, limits), (Names{"b", "c"}));
}

TEST(topology, the_limits_themselves_are_allowed) {
    Topology one = topology({leader("a"), standby("b")});
    one.places[1].lag_bytes = 1000;
    one.places[1].last_heard = now - 3s;
    one.places[1].out_of_step_since = now - 10s;
    EXPECT_EQ(names(one, Route::standby, {.lag_bytes_max = 1000}), Names{"b"});
    one.places[1].last_heard.reset();  // its REST API is closed to us
    EXPECT_EQ(names(one, Route::standby, {.lag_bytes_max = 1000}), Names{"b"});
}

TEST(topology, reads_go_to_the_primary_when_no_standby_is_fit) {
    Topology one = topology({leader("a"), standby("b")});
    one.places[1].lag_bytes = 1UL << 40;
    EXPECT_EQ(names(one, Route::standby), Names{"a"});
    EXPECT_EQ(names(one, Route::any), Names{"a"});
}

TEST(topology, any_takes_what_runs_when_nothing_is_fit) {
    Topology one = topology({leader("a"), standby("b"), standby("c")});
    one.places[0].state = "stopped";
    one.places[1].lag_bytes = 1UL << 40;
    one.places[2].state = "crashed";
    EXPECT_EQ(names(one, Route::any), Names{"b"});
}

TEST(topology, a_database_of_an_ini_is_routed_by_its_entry) {
    EXPECT_TRUE(places_for(topology({leader("a"), standby("b")}), Route::configured).empty());
}

TEST(topology, figures_that_move_do_not_change_the_routing) {
    const Topology one = topology({leader("a"), standby("b")});
    Topology other = one;
    other.built_at += 1s;
    other.places[1].lag_bytes = 4711;
    other.places[1].position = Lsn{200};
    other.places[1].last_heard = now;
    EXPECT_TRUE(same_routing(one, other, {}));
    other.places[1].lag_bytes = 1UL << 40;
    EXPECT_FALSE(same_routing(one, other, {}));
    other = one;
    other.built_at += 10s;  // silence is a change too
    EXPECT_FALSE(same_routing(one, other, {}));
    other = one;
    other.epoch = 6;
    EXPECT_FALSE(same_routing(one, other, {}));
    other = one;
    other.stale = true;
    EXPECT_FALSE(same_routing(one, other, {}));
    other = one;
    other.places[0].port = "5433";
    EXPECT_FALSE(same_routing(one, other, {}));
}

Topology random_topology(std::mt19937& random) {
    const auto one_of = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Topology one{.cluster_id = "7", .stale = one_of(2) == 0, .built_at = now};
    const int count = one_of(6);
    for (int i = 0; i < count; ++i) {
        Place place = standby(std::string(1, static_cast<char>('a' + i)));
        constexpr Role roles[] = {Role::uninitialized, Role::primary, Role::standby_leader, Role::replica,
                                  Role::demoted};
        constexpr const char* states[] = {"running", "streaming", "starting", ""};
        if (one_of(3) == 0) place.role = roles[one_of(5)];
        if (one_of(3) == 0) place.state = states[one_of(4)];
        if (one_of(5) == 0) place.host.clear();
        if (one_of(5) == 0) place.noloadbalance = true;
        if (one_of(4) == 0) place.lag_bytes.reset();
        if (one_of(4) == 0) place.lag_bytes = random() % (64UL << 20);
        if (one_of(4) == 0) place.last_heard = now - std::chrono::seconds(one_of(20));
        if (one_of(4) == 0) place.out_of_step_since = now - std::chrono::seconds(one_of(20));
        one.places.push_back(place);
    }
    if (count > 0 && one_of(4) != 0) {
        Place& leads = one.places[static_cast<std::size_t>(one_of(count))];
        leads.leads = true;
        one.leader = leads.name;
        one.epoch = 1 + one_of(100);
    }
    return one;
}

TEST(topology, holds_its_rules_for_any_cluster) {
    std::mt19937 random(20261121);
    for (int round = 0; round < 20000; ++round) {
        const Topology one = random_topology(random);
        const RouteLimits limits{.lag_bytes_max = random() % (64UL << 20)};
        const auto writers = places_for(one, Route::primary, limits);
        ASSERT_LE(writers.size(), 1U);
        for (const Place* place : writers) ASSERT_EQ(place->name, one.leader);
        ASSERT_EQ(places_for(one, Route::split, limits), writers);

        bool somebody_is_fit = false;
        for (const Place& place : one.places) somebody_is_fit |= !unfit_for_reads(one, place, limits);
        for (const Route route : {Route::standby, Route::any}) {
            const auto readers = places_for(one, route, limits);
            ASSERT_EQ(std::set(readers.begin(), readers.end()).size(), readers.size()) << "one twice";
            for (const Place* place : readers) {
                ASSERT_FALSE(place->host.empty());
                if (somebody_is_fit && !place->leads) ASSERT_FALSE(unfit_for_reads(one, *place, limits));
            }
            // Whoever could write finds somebody to read from, unless only that it runs was asked for.
            if (route == Route::standby && !writers.empty()) ASSERT_FALSE(readers.empty());
            if (somebody_is_fit) ASSERT_FALSE(readers.empty());
        }
        for (const Place* place : places_for(one, Route::standby, limits))
            ASSERT_EQ(place->leads, !somebody_is_fit) << "the leader and standbys mixed";
        ASSERT_TRUE(same_routing(one, one, limits));

        // A wider limit takes nobody away, unless it spares the leader.
        const RouteLimits wider{.lag_bytes_max = limits.lag_bytes_max * 2 + 1};
        for (const Place& place : one.places)
            if (!unfit_for_reads(one, place, limits)) ASSERT_FALSE(unfit_for_reads(one, place, wider));
    }
}

}  // namespace
}  // namespace pgkeel::proxy
