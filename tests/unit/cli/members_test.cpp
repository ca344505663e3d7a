#include "cli/members.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

ClusterView three_members() {
    ClusterView view;
    for (const char* name : {"a", "b", "c"}) {
        Member member;
        member.name = name;
        member.role = Role::replica;
        view.members.push_back(member);
    }
    view.members[1].role = Role::primary;
    view.leader = LeaderKey{"b", 1, 1, 1};
    return view;
}

std::string chosen(const ClusterView& view, const std::vector<std::string>& names, const std::string& role) {
    const auto members = choose_members(view, names, role);
    return members ? names_of(*members) : "error: " + members.error().text;
}

TEST(choose_members, by_role) {
    const auto view = three_members();
    EXPECT_EQ(chosen(view, {}, "any"), "a, b, c");
    EXPECT_EQ(chosen(view, {}, "leader"), "b");
    EXPECT_EQ(chosen(view, {}, "master"), "b");
    EXPECT_EQ(chosen(view, {}, "replica"), "a, c");
    EXPECT_EQ(choose_members(view, {}, "standby-leader").error().code, Errc::not_found);
    EXPECT_EQ(choose_members(view, {}, "king").error().code, Errc::invalid_input);
}

TEST(choose_members, the_leader_of_a_standby_cluster_is_no_primary) {
    auto view = three_members();
    view.members[1].role = Role::standby_leader;
    EXPECT_EQ(chosen(view, {}, "standby-leader"), "b");
    EXPECT_FALSE(choose_members(view, {}, "primary").has_value());
}

TEST(choose_members, by_name_within_the_role) {
    const auto view = three_members();
    EXPECT_EQ(chosen(view, {"c", "a"}, "any"), "a, c");
    EXPECT_EQ(chosen(view, {"b"}, "replica"), "error: member b does not have the role replica");
    EXPECT_EQ(choose_members(view, {"x"}, "any").error().hint, "its members are a, b, c");
}

TEST(one_member, is_the_leader_unless_said_otherwise) {
    const auto view = three_members();
    EXPECT_EQ(one_member(view, "", "").value().name, "b");
    EXPECT_EQ(one_member(view, "c", "").value().name, "c");
    EXPECT_EQ(one_member(view, "", "replica").value().name, "a");
    EXPECT_FALSE(one_member(ClusterView{}, "", "").has_value());
}

}  // namespace
}  // namespace pgkeel::cli
