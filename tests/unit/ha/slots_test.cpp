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
    SlotMemory memory;

    SlotQuestion question() {
        return {*b.s.view, b.s.settings, b.s.server, b.s.name, b.s.tags, b.s.lease.has_value(), b.s.now};
    }
    SlotChanges plan() { return plan_slots(question(), memory); }
    Slot& has(const std::string& name) {
        b.s.server.slots.push_back({});
        b.s.server.slots.back().name = name;
        b.s.server.slots.back().restart_lsn = BuildSnapshot::position;
        return b.s.server.slots.back();
    }
    Slot& has_logical(const std::string& name) {
        Slot& slot = has(name);
        slot.physical = false;
        slot.database = "app";
        slot.plugin = "pgoutput";
        slot.confirmed_flush_lsn = BuildSnapshot::position;
        return slot;
    }
    void permanent(const std::string& name, PermanentSlot slot = {}) {
        b.s.settings.permanent_slots[name] = std::move(slot);
    }
    void permanent_logical(const std::string& name) {
        permanent(name, {.physical = false, .database = "app", .plugin = "pgoutput"});
    }
    void forget(const std::string& member) {
        std::erase_if(b.s.view->members, [&](const Member& each) { return each.name == member; });
    }
    Names dropped() {
        Names names;
        for (const auto& drop : plan().drop) names.push_back(drop.name);
        return names;
    }
    Names created() { return plan().create; }
    Names advanced() {
        Names names;
        for (const auto& each : plan().advance) names.push_back(each.name + " to " + to_string(each.to));
        return names;
    }
};

Planner on_standby() {
    Planner p;
    p.b = standby("pg-b");
    return p;
}

TEST(member_slots, are_made_by_the_leader_for_every_other_member) {
    Planner p;
    EXPECT_EQ(p.created(), (Names{"pg_b", "pg_c"}));
    p.has("pg_b");
    EXPECT_EQ(p.created(), Names{"pg_c"});
}

TEST(member_slots, are_made_by_every_node_so_that_each_finds_its_wal_after_a_failover) {
    Planner p = on_standby();
    EXPECT_EQ(p.created(), (Names{"pg_a", "pg_c"}));
}

TEST(member_slots, of_a_node_that_cannot_lead_are_those_of_its_own_standbys) {
    Planner p = on_standby();
    p.b.s.tags.nofailover = true;
    EXPECT_EQ(p.created(), Names{});
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(p.created(), Names{"pg_c"});
}

TEST(member_slots, are_made_only_where_they_are_used_when_they_are_not_kept) {
    Planner p;
    p.b.s.settings.member_slots_ttl = 0s;
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(p.created(), Names{"pg_b"});
    p.b.member("pg-c").tags.replicatefrom = "pg-x";
    EXPECT_EQ(p.created(), (Names{"pg_b", "pg_c"})) << "pg-x does not exist: it streams from the leader";
    p = on_standby();
    p.b.s.settings.member_slots_ttl = 0s;
    EXPECT_EQ(p.created(), Names{});
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(p.created(), Names{"pg_c"});
}

TEST(member_slots, are_not_made_for_those_that_do_not_stream) {
    Planner p;
    p.b.member("pg-b").tags.nostream = true;
    EXPECT_EQ(p.created(), Names{"pg_c"});
}

TEST(member_slots, of_a_member_that_went_away_are_kept_for_a_while) {
    Planner p;
    p.has("pg_b");
    p.has("pg_c");
    EXPECT_EQ(p.dropped(), Names{});
    p.forget("pg-c");
    p.b.at(p.b.s.settings.member_slots_ttl - 1s);
    EXPECT_EQ(p.dropped(), Names{});
    EXPECT_EQ(slots_to_publish(p.question(), p.memory).retained, (Names{"pg_a", "pg_b", "pg_c"}));
    p.b.at(p.b.s.settings.member_slots_ttl);
    EXPECT_EQ(p.dropped(), Names{"pg_c"});
    EXPECT_EQ(slots_to_publish(p.question(), p.memory).retained, (Names{"pg_a", "pg_b"}));
}

TEST(member_slots, are_kept_by_standbys_as_the_leader_says) {
    Planner p = on_standby();
    p.b.s.view->status.retain_slots = {"pg_z", "pg_b"};
    EXPECT_EQ(p.created(), (Names{"pg_a", "pg_c", "pg_z"}));
    p.has("pg_z");
    p.has("pg_y");
    EXPECT_EQ(p.dropped(), Names{"pg_y"});
}

TEST(member_slots, of_the_last_leader_are_kept_by_the_new_one) {
    Planner p;
    p.b.s.view->status.retain_slots = {"pg_z"};
    p.has("pg_z");
    EXPECT_EQ(p.dropped(), Names{});
    p.b.s.view->status.retain_slots.clear();
    EXPECT_EQ(p.dropped(), Names{}) << "it is this leader who says so now";
    EXPECT_EQ(slots_to_publish(p.question(), p.memory).retained, (Names{"pg_a", "pg_z"}));
}

TEST(member_slots, move_on_to_where_the_leader_says) {
    Planner p = on_standby();
    p.has("pg_c").restart_lsn = Lsn{0x1000000};
    p.has("pg_a").restart_lsn = BuildSnapshot::position;
    p.b.s.view->status.slots = {{"pg_c", Lsn{0x2000000}}, {"pg_a", Lsn{0x1000000}}};
    EXPECT_EQ(p.advanced(), Names{"pg_c to 0/2000000"});
    p.b.s.view->status.slots["pg_c"] = Lsn{0x9000000};
    EXPECT_EQ(p.advanced(), Names{"pg_c to 0/5000000"}) << "no further than what is replayed here";
    p.b.s.server.slots[0].active = true;
    EXPECT_EQ(p.advanced(), Names{});
}

TEST(member_slots, of_a_member_below_another_move_on_to_where_it_says_it_is) {
    Planner p;
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    p.b.member("pg-c").location = Lsn{0x3000000};
    p.has("pg_b");
    p.has("pg_c").restart_lsn = Lsn{0x2000000};
    p.b.s.view->status.slots["pg_c"] = Lsn{0x2000000};
    EXPECT_EQ(p.advanced(), Names{"pg_c to 0/3000000"});
}

TEST(member_slots, that_nobody_uses_here_do_not_hold_up_vacuum) {
    Planner p = on_standby();
    p.has("pg_c").has_xmin = true;
    p.has("pg_a");
    EXPECT_EQ(p.dropped(), Names{"pg_c"});
    p.b.no_leader_key();
    EXPECT_EQ(p.dropped(), Names{}) << "who streams from where is not known without a leader";
}

TEST(member_slots, that_keep_no_wal_are_made_anew) {
    Planner p = on_standby();
    p.has("pg_c").restart_lsn = {};
    p.has("pg_a").wal_status = "lost";
    EXPECT_EQ(p.dropped(), (Names{"pg_c", "pg_a"}));
}

TEST(member_slots, are_left_alone_in_a_paused_cluster) {
    Planner p;
    p.has("pg_z");
    p.b.paused();
    p.plan();
    p.b.at(1000h);
    EXPECT_EQ(p.dropped(), Names{});
}

TEST(member_slots, are_not_made_where_slots_are_switched_off) {
    Planner p;
    p.b.s.settings.use_slots = false;
    p.has("pg_b");
    EXPECT_EQ(p.created(), Names{});
    EXPECT_EQ(p.dropped(), Names{"pg_b"});
}

TEST(member_slots, outlive_a_leader_key_that_vanishes_for_a_moment) {
    Planner p;
    p.has("pg_b");
    p.has("pg_c");
    EXPECT_EQ(p.dropped(), Names{});
    p.b.no_leader_key();
    p.b.s.lease.reset();
    p.forget("pg-c");
    EXPECT_EQ(p.dropped(), Names{});
}

// ---- what nobody has told us about

TEST(unknown_slots, are_left_to_their_users_on_a_primary) {
    Planner p;
    p.has("mine");
    p.has_logical("logical");
    p.has("active").active = true;
    EXPECT_EQ(p.dropped(), Names{});
    p.b.at(p.b.s.settings.member_slots_ttl);
    EXPECT_EQ(p.dropped(), Names{"mine"});
}

TEST(unknown_slots, are_dropped_on_a_standby_where_nobody_moves_them_on) {
    Planner p = on_standby();
    p.has("mine");
    p.has_logical("logical");
    p.has_logical("of_the_server").failover = true;
    p.has("active").active = true;
    EXPECT_EQ(p.dropped(), (Names{"mine", "logical"}));
}

TEST(unknown_slots, are_ignored_by_any_of_their_properties) {
    for (const SlotMatcher& matcher : {SlotMatcher{.name = "l"}, SlotMatcher{.type = "logical"},
                                       SlotMatcher{.database = "app", .plugin = "pgoutput"}, SlotMatcher{}}) {
        Planner p = on_standby();
        p.has_logical("l");
        EXPECT_EQ(p.dropped(), Names{"l"});
        p.b.s.settings.ignored_slots = {{.name = "other"}, matcher};
        EXPECT_EQ(p.dropped(), Names{});
    }
}

// ---- permanent ones

TEST(permanent_slots, are_made_on_every_node_but_their_own_and_those_that_cannot_lead) {
    Planner p;
    p.permanent("fixed");
    p.permanent("pg_a");
    EXPECT_EQ(p.created(), (Names{"fixed", "pg_b", "pg_c"}));
    p = on_standby();
    p.permanent("fixed");
    EXPECT_EQ(p.created(), (Names{"fixed", "pg_a", "pg_c"}));
    p.b.s.tags.nofailover = true;
    EXPECT_EQ(p.created(), Names{});
}

TEST(permanent_slots, can_be_for_one_kind_of_cluster) {
    Planner p;
    p.permanent("up", {.cluster_type = "primary"});
    p.permanent("down", {.cluster_type = "standby"});
    EXPECT_EQ(p.created(), (Names{"pg_b", "pg_c", "up"}));
    p = on_standby();
    p.b.s.settings.standby_cluster = true;
    p.permanent("up", {.cluster_type = "primary"});
    p.permanent("down", {.cluster_type = "standby"});
    EXPECT_EQ(p.created(), (Names{"down", "pg_a", "pg_c"}));
}

TEST(permanent_slots, logical_ones_are_created_on_the_primary_and_copied_to_standbys) {
    Planner p;
    p.permanent_logical("l");
    ASSERT_EQ(p.plan().create_logical.size(), 1U);
    EXPECT_EQ(p.plan().create_logical[0].database, "app");
    p = on_standby();
    p.permanent_logical("l");
    EXPECT_TRUE(p.plan().copy.empty()) << "the leader has published no position of it";
    p.b.s.view->status.slots["l"] = BuildSnapshot::position;
    ASSERT_EQ(p.plan().copy.size(), 1U);
    EXPECT_TRUE(Planner(p).plan().create_logical.empty());
    p.b.paused();
    EXPECT_TRUE(p.plan().copy.empty()) << "it restarts the server";
}

TEST(permanent_slots, logical_ones_move_on_no_further_than_what_is_replayed) {
    Planner p = on_standby();
    p.permanent_logical("l");
    p.has_logical("l").confirmed_flush_lsn = Lsn{0x1000000};
    p.b.s.view->status.slots["l"] = Lsn{0x9000000};
    const auto advance = p.plan().advance;
    ASSERT_EQ(advance.size(), 1U);
    EXPECT_EQ(advance[0].database, "app");
    EXPECT_EQ(advance[0].to, BuildSnapshot::position);
    p.b.s.view->status.slots["l"] = Lsn{0x1000000};
    EXPECT_TRUE(p.plan().advance.empty());
}

TEST(permanent_slots, logical_ones_are_not_kept_where_no_feedback_reaches_the_primary) {
    Planner p = on_standby();
    p.permanent_logical("l");
    p.b.s.view->status.slots["l"] = BuildSnapshot::position;
    p.b.s.tags.replicatefrom = "pg-c";
    EXPECT_EQ(p.plan().copy.size(), 1U);
    p.b.member("pg-c").tags.nostream = true;
    EXPECT_TRUE(p.plan().copy.empty());
    p.b.s.tags = {};
    EXPECT_EQ(p.plan().copy.size(), 1U);
    p.b.s.settings.standby_cluster = true;
    EXPECT_TRUE(p.plan().copy.empty());
    p.has_logical("l");
    EXPECT_EQ(p.dropped(), Names{"l"});
}

TEST(permanent_slots, of_another_kind_than_configured_are_made_anew) {
    Planner p;
    p.permanent_logical("l");
    p.has_logical("l").plugin = "test_decoding";
    EXPECT_EQ(p.dropped(), Names{"l"});
}

TEST(permanent_slots, that_are_not_configured_any_more_are_dropped) {
    Planner p;
    p.permanent_logical("l");
    p.has_logical("l");
    EXPECT_EQ(p.dropped(), Names{});
    p.b.s.settings.permanent_slots.clear();
    EXPECT_EQ(p.dropped(), Names{"l"});
}

TEST(permanent_slots, are_published_with_those_of_members) {
    Planner p;
    p.permanent_logical("l");
    p.permanent("pg_c");
    p.has("pg_b").restart_lsn = Lsn{0x3000000};
    p.has("pg_c").restart_lsn = Lsn{0x4000000};
    p.has_logical("l");
    p.has("mine");
    p.plan();
    const PublishedSlots published = slots_to_publish(p.question(), p.memory);
    EXPECT_EQ(published.positions, (std::map<std::string, Lsn>{{"l", BuildSnapshot::position},
                                                               {"pg_a", BuildSnapshot::position},
                                                               {"pg_b", Lsn{0x3000000}},
                                                               {"pg_c", Lsn{0x4000000}}}));
    EXPECT_EQ(published.retained, (Names{"pg_a", "pg_b"})) << "permanent ones are kept anyway";
    p.b.s.settings.member_slots_ttl = 0s;
    const PublishedSlots only_permanent = slots_to_publish(p.question(), p.memory);
    EXPECT_FALSE(only_permanent.positions.contains("pg_b"));
    EXPECT_TRUE(only_permanent.positions.contains("l"));
}

// ---- feedback

TEST(feedback, is_needed_by_who_has_logical_slots_and_by_who_stands_between_it_and_the_primary) {
    Planner p = on_standby();
    const auto needed = [&] { return needs_hot_standby_feedback(*p.b.s.view, p.b.s.settings, p.b.s.name, p.b.s.tags); };
    p.permanent("physical");
    EXPECT_FALSE(needed());
    p.permanent_logical("l");
    EXPECT_TRUE(needed());
    p.b.s.tags.nofailover = true;
    EXPECT_FALSE(needed());
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_TRUE(needed());
    p.b.member("pg-c").tags.nofailover = true;
    EXPECT_FALSE(needed());
    p.b.s.tags.nofailover = false;
    p.b.s.tags.nostream = true;
    EXPECT_FALSE(needed());
}

TEST(feedback, reaches_the_primary_through_the_slot_of_the_first_standby) {
    Planner p = on_standby();
    const ClusterView& view = *p.b.s.view;
    EXPECT_EQ(slot_on_primary(view, "pg-b", p.b.s.tags), "pg_b");
    p.b.s.tags.replicatefrom = "pg-c";
    EXPECT_EQ(slot_on_primary(view, "pg-b", p.b.s.tags), "pg_c");
    p.b.member("pg-c").tags.replicatefrom = "pg-b";
    EXPECT_EQ(slot_on_primary(view, "pg-b", p.b.s.tags), std::nullopt) << "a ring";
}

TEST(feedback, has_to_have_passed_the_original_and_not_the_copy) {
    EXPECT_TRUE(copy_is_safe(10, 11, 12));
    EXPECT_TRUE(copy_is_safe(10, 10, 10));
    EXPECT_FALSE(copy_is_safe(10, 9, 12));
    EXPECT_FALSE(copy_is_safe(10, 13, 12));
    EXPECT_FALSE(copy_is_safe(10, 0, 12));
    EXPECT_TRUE(copy_is_safe(4294967290U, 3, 4)) << "they go round";
}

}  // namespace
}  // namespace pgkeel::ha
