#include "cli/rolling_plan.hpp"

#include "cli/terminal.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace pgkeel::cli {
namespace {

using Kind = RollingStep::Kind;

RollingMember member(const std::string& name, bool leads = false) {
    RollingMember made;
    made.name = name;
    made.leads = leads;
    made.state = "running";
    made.replication_state = leads ? "" : "streaming";
    made.timeline = Timeline{3};
    made.position = Lsn{0x5000000};
    made.started_at = "2026-11-21 02:03:04.500000+00:00";
    made.running_version = made.installed_version = 150018;
    return made;
}

class RollingPlan : public testing::Test {
  protected:
    RollingPlan() {
        cluster.scope = "demo";
        cluster.members = {member("pg-a", true), member("pg-b"), member("pg-c")};
    }
    RollingMember& at(std::size_t place) { return cluster.members[place]; }
    void synchronous(std::size_t place) {
        cluster.settings.synchronous_mode = SynchronousMode::on;
        at(place).synchronous = true;
    }
    std::vector<RollingStep> plan() {
        auto steps = plan_rolling_restart(cluster, wishes);
        EXPECT_TRUE(steps) << steps.error().line();
        return steps.value_or(std::vector<RollingStep>{});
    }
    /// It has to be refused, with both words in what is said.
    void refused(const std::string& why, const std::string& hint) {
        const auto steps = plan_rolling_restart(cluster, wishes);
        ASSERT_FALSE(steps) << "expected: " << why;
        EXPECT_NE(steps.error().text.find(why), std::string::npos) << steps.error().line();
        EXPECT_NE(steps.error().hint.find(hint), std::string::npos) << steps.error().line();
    }
    void waits_for(RollingMember& one, const char* parameter, const char* before, const char* after) {
        one.pending_restart = true;
        one.pending_restart_reason[parameter] = {{"old_value", before}, {"new_value", after}};
    }

    RollingCluster cluster;
    RollingWishes wishes;
};

TEST_F(RollingPlan, standbys_come_first_and_the_primary_is_left_at_the_end) {
    EXPECT_EQ(plan(),
              (std::vector<RollingStep>{{Kind::restart, "pg-b"}, {Kind::restart, "pg-c"}, {Kind::switchover, "pg-a"}}));
}

TEST_F(RollingPlan, a_synchronous_standby_comes_after_one_that_can_take_its_duty) {
    synchronous(1);
    EXPECT_EQ(plan(),
              (std::vector<RollingStep>{{Kind::restart, "pg-c"}, {Kind::restart, "pg-b"}, {Kind::switchover, "pg-a"}}));
}

TEST_F(RollingPlan, the_primary_is_restarted_in_place_when_that_is_wished) {
    wishes.switchover = false;
    EXPECT_EQ(plan(),
              (std::vector<RollingStep>{{Kind::restart, "pg-b"}, {Kind::restart, "pg-c"}, {Kind::in_place, "pg-a"}}));
}

TEST_F(RollingPlan, only_named_members_are_restarted) {
    wishes.members = {"pg-c"};
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::restart, "pg-c"}}));
    wishes.members = {"pg-a"};
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::switchover, "pg-a"}}));
}

TEST_F(RollingPlan, only_those_who_wait_for_a_restart_are_restarted) {
    wishes.only_pending = true;
    EXPECT_TRUE(plan().empty());
    waits_for(at(1), "shared_buffers", "32MB", "64MB");
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::restart, "pg-b"}}));
}

TEST_F(RollingPlan, only_those_who_are_older_than_what_is_installed_are_restarted) {
    wishes.only_outdated = true;
    EXPECT_TRUE(plan().empty());
    at(0).installed_version = at(2).installed_version = 150019;
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::restart, "pg-c"}, {Kind::switchover, "pg-a"}}));
    at(2).installed_version = 0;
    refused("the agent of pg-c does not say which PostgreSQL is installed", "name the members");
}

TEST_F(RollingPlan, a_cluster_that_is_not_well_is_left_alone) {
    cluster.settings.pause = true;
    refused("it is paused", "pgkeel resume");
    cluster.settings.pause = false;
    at(0).leads = false;
    refused("nobody leads it", "pgkeel why");
    at(0).leads = true;
    at(2).silence = "connection refused";
    refused("pg-c: its agent does not answer: connection refused", "mend that first");
    at(2) = member("pg-c");
    at(2).state = "starting";
    refused("pg-c: its state is 'starting'", "mend that first");
    at(2) = member("pg-c");
    at(2).replication_state = "in archive recovery";
    refused("pg-c: it is 'in archive recovery', not streaming", "mend");
    at(2).tags.nostream = true;
    EXPECT_EQ(plan().size(), 3U) << "it is not meant to stream";
    at(2) = member("pg-c");
    at(2).timeline = Timeline{2};
    refused("pg-c: it is on timeline 2, and pg-a on 3", "mend");
    at(2) = member("pg-c");
    at(2).history_diverged = true;
    refused("pg-c: its history has left that of pg-a", "mend");
    cluster.members.pop_back();
    cluster.missing_slots = {"pg_c"};
    refused("members are missing: slots are kept for pg_c", "--ignore-missing");
    wishes.missing_is_fine = true;
    EXPECT_EQ(plan().size(), 2U);
}

TEST_F(RollingPlan, a_standby_may_be_a_little_behind) {
    at(2).position = Lsn{at(0).position.bytes - cluster.settings.maximum_lag_on_failover_bytes};
    EXPECT_EQ(plan().size(), 3U);
    --at(2).position.bytes;
    refused("pg-c: it is 1.0 MB behind, more than maximum_lag_on_failover (1.0 MB)", "mend");
    at(2).position = Lsn{at(0).position.bytes + 1000};
    EXPECT_EQ(plan().size(), 3U) << "it was asked after the leader";
}

TEST_F(RollingPlan, a_primary_that_nobody_can_follow_is_not_left) {
    at(1).tags.nofailover = true;
    at(2).tags.failover_priority = 0;
    refused("pg-a cannot be left: cluster demo has no standby that may take over", "--no-switchover");
    wishes.members = {"pg-b", "pg-c"};
    EXPECT_EQ(plan().size(), 2U) << "nobody has to take over";
    cluster.members.resize(1);
    wishes.members.clear();
    refused("has no standby", "--no-switchover");
    wishes.switchover = false;
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::in_place, "pg-a"}}));
}

TEST_F(RollingPlan, the_candidate_has_to_be_one) {
    wishes.candidate = "pg-x";
    refused("has no member 'pg-x'", "");
    wishes.candidate = "pg-a";
    refused("pg-a leads", "");
    wishes.candidate = "pg-b";
    at(1).tags.nofailover = true;
    refused("pg-b has the tag nofailover", "--candidate");
    wishes.candidate = "pg-c";
    EXPECT_EQ(plan().size(), 3U);
}

TEST_F(RollingPlan, in_a_synchronous_mode_only_synchronous_standbys_are_successors) {
    EXPECT_EQ(successors(cluster), (std::vector<std::string>{"pg-b", "pg-c"}));
    synchronous(2);
    EXPECT_EQ(successors(cluster), (std::vector<std::string>{"pg-c"}));
    at(2).replication_state.clear();
    EXPECT_TRUE(successors(cluster).empty());
}

TEST_F(RollingPlan, what_standbys_may_not_have_less_of_is_decreased_at_the_primary_first) {
    wishes.only_pending = true;
    for (RollingMember& one : cluster.members) waits_for(one, "max_connections", "100", "90");
    refused("a switchover would keep what shall become smaller: max_connections (100 to 90)", "--no-switchover");
    wishes.switchover = false;
    EXPECT_EQ(plan(),
              (std::vector<RollingStep>{{Kind::in_place, "pg-a"}, {Kind::restart, "pg-b"}, {Kind::restart, "pg-c"}}));
    for (RollingMember& one : cluster.members) waits_for(one, "max_wal_senders", "10", "12");
    EXPECT_EQ(plan(), (std::vector<RollingStep>{{Kind::restart, "pg-b"},
                                                {Kind::restart, "pg-c"},
                                                {Kind::in_place, "pg-a"},
                                                {Kind::restart, "pg-b"},
                                                {Kind::restart, "pg-c"}}));
}

TEST_F(RollingPlan, an_increase_goes_the_usual_way) {
    for (RollingMember& one : cluster.members) waits_for(one, "max_connections", "100", "200");
    EXPECT_EQ(plan().back(), (RollingStep{Kind::switchover, "pg-a"}));
}

TEST_F(RollingPlan, the_cluster_is_fit_again_when_all_are_there_and_as_many_are_synchronous) {
    const RollingCluster before = cluster;
    EXPECT_EQ(why_unfit(cluster, before), "");
    RollingCluster smaller = cluster;
    smaller.members.pop_back();
    EXPECT_EQ(why_unfit(smaller, before), "pg-c is missing: its agent does not publish it");
    synchronous(1);
    const RollingCluster synchronous_before = cluster;
    at(1).synchronous = false;
    EXPECT_EQ(why_unfit(cluster, synchronous_before), "0 of 1 synchronous standbys are there");
    at(2).synchronous = true;
    EXPECT_EQ(why_unfit(cluster, synchronous_before), "") << "another one has the duty now";
}

TEST_F(RollingPlan, is_shown_in_80_columns_with_versions) {
    at(1).installed_version = 150019;
    at(2).installed_version = 0;
    const std::string text = plan_table(cluster, plan(), wishes, 80);
    std::istringstream lines(text);
    std::vector<std::string> seen;
    for (std::string line; std::getline(lines, line);) seen.push_back(line);
    ASSERT_EQ(seen.size(), 6U) << text;
    for (const std::string& line : seen) EXPECT_LE(display_width(line), 80U) << line;
    EXPECT_EQ(seen[1], "   1  pg-b    15.18  15.19      restart the standby");
    EXPECT_EQ(seen[2], "   2  pg-c    15.18  ?          restart the standby");
    EXPECT_EQ(seen[3], "   3  pg-a    15.18  15.18      switch over to the best standby");
    EXPECT_EQ(seen[4], "   4  pg-a    15.18  15.18      comes back as a standby");
    EXPECT_EQ(seen[5], "   5  all                       check that the cluster is healthy");
}

TEST_F(RollingPlan, tells_whose_restart_is_not_over) {
    const std::vector<RollingStep> steps{{Kind::restart, "pg-b"}, {Kind::in_place, "pg-a"}, {Kind::restart, "pg-b"}};
    EXPECT_EQ(members_from(steps, 0), (std::vector<std::string>{"pg-b", "pg-a"}));
    EXPECT_EQ(members_from(steps, 1), (std::vector<std::string>{"pg-a", "pg-b"}));
    EXPECT_TRUE(members_from(steps, 3).empty());
}

}  // namespace
}  // namespace pgkeel::cli
