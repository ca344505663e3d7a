#include "ha/slots.hpp"

#include "build_snapshot.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

TEST(slot_name, is_what_postgresql_allows) {
    EXPECT_EQ(slot_name("pg-a"), "pg_a");
    EXPECT_EQ(slot_name("Node.1"), "node_1");
    EXPECT_EQ(slot_name("a b"), "au0032b");
    EXPECT_EQ(slot_name("\xc3\xa4"), "u0228") << "one character of two bytes";
    EXPECT_EQ(slot_name(std::string(100, 'x')).size(), 63U);
    EXPECT_EQ(slot_name("\xff"), "u0255") << "a broken text has a name too";
}

struct Planner {
    BuildSnapshot b = primary().holds_lease();
    std::set<std::string> kept;
    std::map<std::string, Instant> last_seen;

    SlotChanges plan() {
        return plan_member_slots(*b.s.view, b.s.settings, b.s.server, b.s.name, kept, b.s.now, last_seen);
    }
    Slot& has(const std::string& name) {
        b.s.server.slots.push_back({});
        b.s.server.slots.back().name = name;
        return b.s.server.slots.back();
    }
    void forget(const std::string& member) {
        std::erase_if(b.s.view->members, [&](const Member& each) { return each.name == member; });
    }
};

TEST(member_slots, are_made_by_the_leader_for_every_other_member) {
    Planner p;
    EXPECT_EQ(p.plan().create, (Names{"pg_b", "pg_c"}));
    p.has("pg_b");
    EXPECT_EQ(p.plan().create, Names{"pg_c"});
}

TEST(member_slots, are_not_made_for_those_that_stream_from_another_or_not_at_all) {
    Planner p;
    p.b.member("pg-b").tags.nostream = true;
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(p.plan().create, Names{});
    p.b.member("pg-c").tags.replicatefrom = "pg-x";
    EXPECT_EQ(p.plan().create, Names{"pg_c"}) << "pg-x does not exist: it streams from the leader";
}

TEST(member_slots, are_made_by_a_standby_for_those_that_stream_from_it) {
    Planner p;
    p.b = standby("pg-b");
    EXPECT_EQ(p.plan().create, Names{});
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(p.plan().create, Names{"pg_c"});
}

TEST(member_slots, of_a_member_that_went_away_are_kept_for_a_while) {
    Planner p;
    p.has("pg_b");
    p.has("pg_c");
    EXPECT_EQ(p.plan().drop, Names{});
    p.forget("pg-c");
    p.b.at(p.b.s.settings.member_slots_ttl - 1s);
    EXPECT_EQ(p.plan().drop, Names{});
    p.b.at(p.b.s.settings.member_slots_ttl);
    EXPECT_EQ(p.plan().drop, Names{"pg_c"});
}

TEST(member_slots, of_unknown_members_have_the_same_time_after_a_restart_of_the_agent) {
    Planner p;
    p.has("pg_z");
    EXPECT_EQ(p.plan().drop, Names{});
    p.b.at(p.b.s.settings.member_slots_ttl);
    EXPECT_EQ(p.plan().drop, Names{"pg_z"});
}

TEST(member_slots, never_drop_what_is_active_logical_or_protected) {
    Planner p;
    p.has("active").active = true;
    p.has("logical").physical = false;
    p.has("protected");
    p.kept = {"protected"};
    p.plan();
    p.b.at(1000h);
    EXPECT_EQ(p.plan().drop, Names{});
}

TEST(member_slots, are_left_alone_in_a_paused_cluster) {
    Planner p;
    p.has("pg_z");
    p.b.paused();
    p.plan();
    p.b.at(1000h);
    EXPECT_EQ(p.plan().drop, Names{});
}

TEST(member_slots, are_not_made_where_slots_are_switched_off) {
    Planner p;
    p.b.s.settings.use_slots = false;
    p.has("pg_b");
    const SlotChanges changes = p.plan();
    EXPECT_EQ(changes.create, Names{});
    EXPECT_EQ(changes.drop, Names{"pg_b"});
}

TEST(member_slots, outlive_a_leader_key_that_vanishes_for_a_moment) {
    Planner p;
    p.has("pg_b");
    p.has("pg_c");
    EXPECT_EQ(p.plan().drop, Names{});
    p.b.no_leader_key();
    p.forget("pg-c");
    EXPECT_EQ(p.plan().drop, Names{});
}

}  // namespace
}  // namespace pgkeel::ha
