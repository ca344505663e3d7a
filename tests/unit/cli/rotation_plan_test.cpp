#include "cli/rotation_plan.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace pgkeel::cli {
namespace {

using cluster::Rotation;
using cluster::RotationPhase;

RotationMember member(const std::string& name) {
    return {
        .name = name,
        .silence = "",
        .running = true,
        .roles = {
            {"postgres", {"superuser"}, true}, {"replicator", {"replication"}, true}, {"rewinder", {"rewind"}, true}}};
}

RotationCluster three() {
    return {.scope = "demo", .leader = "pg-a", .members = {member("pg-a"), member("pg-b"), member("pg-c")}};
}

std::string refusal(const RotationCluster& cluster, const RotationWishes& wishes = {}) {
    const auto plan = plan_rotation(cluster, wishes);
    return plan ? "planned" : plan.error().line();
}

std::vector<std::string> roles(const RotationCluster& cluster, const RotationWishes& wishes = {}) {
    const auto plan = plan_rotation(cluster, wishes);
    return plan ? plan->roles : std::vector{plan.error().text};
}

TEST(rotation_plan, takes_all_that_every_agent_has_a_password_for) {
    EXPECT_EQ(roles(three()), (std::vector<std::string>{"postgres", "replicator", "rewinder"}));
    EXPECT_EQ(roles(three(), {.sections = {"replication"}}), (std::vector<std::string>{"replicator"}));
    RotationCluster cluster = three();
    cluster.members[1].roles[0].has_password = false;
    EXPECT_EQ(roles(cluster), (std::vector<std::string>{"replicator", "rewinder"}));
    EXPECT_NE(refusal(cluster, {.sections = {"superuser"}}).find("a password for superuser"), std::string::npos);
}

TEST(rotation_plan, a_role_with_two_duties_gets_one_password) {
    RotationCluster cluster = three();
    for (RotationMember& one : cluster.members)
        one.roles = {{"postgres", {"superuser", "rewind"}, true}, {"replicator", {"replication"}, true}};
    EXPECT_EQ(roles(cluster, {.sections = {"rewind"}}), (std::vector<std::string>{"postgres"}));
    EXPECT_EQ(roles(cluster), (std::vector<std::string>{"postgres", "replicator"}));
}

TEST(rotation_plan, agents_that_log_in_as_different_roles_are_refused) {
    RotationCluster cluster = three();
    cluster.members[2].roles[1].name = "standby";
    EXPECT_NE(refusal(cluster).find("replicator at one, standby at pg-c"), std::string::npos);
}

TEST(rotation_plan, is_refused_before_anything_is_sent) {
    const auto with = [](auto change) {
        RotationCluster cluster = three();
        change(cluster);
        return refusal(cluster);
    };
    using Cluster = RotationCluster&;
    EXPECT_NE(with([](Cluster c) { c.members[1].runs_pgkeel = false; }).find("Patroni runs pg-b"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.members[1].private_api = false; }).find("REST API of pg-b"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.members[1].silence = "gone"; }).find("pg-b does not answer: gone"),
              std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.members[1].running = false; }).find("server of pg-b"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.members[1].trouble = "disk"; }).find("pg-b could not keep them: disk"),
              std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.paused = true; }).find("pgkeel resume"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.leader = ""; }).find("nobody leads"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.standby_cluster = true; }).find("rotate there"), std::string::npos);
    EXPECT_NE(with([](Cluster c) { c.missing_slots = {"pg_d"}; }).find("--ignore-missing"), std::string::npos);
    RotationCluster missing = three();
    missing.missing_slots = {"pg_d"};
    EXPECT_EQ(refusal(missing, {.missing_is_fine = true}), "planned");
}

TEST(rotation_plan, one_that_was_interrupted_while_it_prepared_begins_anew) {
    RotationCluster cluster = three();
    cluster.interrupted =
        Rotation{.id = "x", .phase = RotationPhase::prepare, .roles = {"postgres"}, .members = {"pg-a"}};
    const auto plan = plan_rotation(cluster, {});
    ASSERT_TRUE(plan) << plan.error().line();
    EXPECT_FALSE(plan->resumed);
    EXPECT_EQ(plan->roles.size(), 3U);
    EXPECT_EQ(plan->members.size(), 3U);
}

TEST(rotation_plan, one_that_had_reached_the_primary_is_finished_as_it_was_begun) {
    RotationCluster cluster = three();
    cluster.interrupted =
        Rotation{.id = "x", .phase = RotationPhase::commit, .roles = {"replicator"}, .members = {"pg-a", "pg-b"}};
    cluster.members[2].silence = "it has joined since, and is nobody's concern";
    const auto plan = plan_rotation(cluster, {.sections = {"superuser"}});
    ASSERT_TRUE(plan) << plan.error().line();
    ASSERT_TRUE(plan->resumed);
    EXPECT_EQ(plan->roles, (std::vector<std::string>{"replicator"}));
    EXPECT_EQ(plan->members, (std::vector<std::string>{"pg-a", "pg-b"}));
    cluster.interrupted->members.emplace_back("pg-d");
    EXPECT_NE(refusal(cluster).find("pg-d is missing in the middle"), std::string::npos);
    EXPECT_EQ(refusal(cluster, {.missing_is_fine = true}), "planned");
}

TEST(rotation_plan, fits_into_80_columns) {
    const auto plan = plan_rotation(three(), {});
    ASSERT_TRUE(plan);
    std::istringstream lines(rotation_table(*plan, 80));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80U) << line;
    EXPECT_EQ(count, 1 + rotation_steps);
}

}  // namespace
}  // namespace pgkeel::cli
