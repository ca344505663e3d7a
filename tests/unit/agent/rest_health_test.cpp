#include "agent/rest/health.hpp"

#include <gtest/gtest.h>

namespace pgkeel::agent::rest {
namespace {

NodeFacts primary() {
    NodeFacts facts;
    facts.name = "pg-a";
    facts.state = "running";
    facts.role = Role::primary;
    facts.holds_lease = facts.has_view = facts.alive = true;
    facts.server.accepts_connections = true;
    return facts;
}

NodeFacts standby() {
    NodeFacts facts = primary();
    facts.role = Role::replica;
    facts.holds_lease = false;
    facts.server.in_recovery = true;
    facts.server.received = Lsn{1000};
    facts.server.replayed = Lsn{900};
    facts.server.replication_state = "streaming";
    facts.leader_position = Lsn{1100};
    facts.maximum_lag_on_failover_bytes = 1048576;
    return facts;
}

int ask(const NodeFacts& facts, const std::string& path, const http::Headers& query = {}) {
    return health_status(facts, path, query);
}

TEST(health, of_a_primary) {
    const NodeFacts facts = primary();
    for (const char* path :
         {"/", "/primary", "/master", "/read-write", "/leader", "/read-only", "/read-only-sync",
          "/read-only-synchronous", "/read-only-quorum", "/health", "/primary/anything", "//primary"})
        EXPECT_EQ(ask(facts, path), 200) << path;
    for (const char* path : {"/replica", "/standby_leader", "/standby-leader", "/sync", "/synchronous", "/async",
                             "/asynchronous", "/quorum", "/favicon.ico"})
        EXPECT_EQ(ask(facts, path), 503) << path;
}

TEST(health, of_a_standby) {
    const NodeFacts facts = standby();
    for (const char* path : {"/replica", "/read-only", "/async", "/asynchronous", "/health"})
        EXPECT_EQ(ask(facts, path), 200) << path;
    for (const char* path :
         {"/", "/primary", "/leader", "/standby_leader", "/sync", "/quorum", "/read-only-sync", "/read-only-quorum"})
        EXPECT_EQ(ask(facts, path), 503) << path;
}

TEST(health, of_a_synchronous_standby_and_of_one_that_votes) {
    NodeFacts facts = standby();
    facts.sync_standby = true;
    for (const char* path : {"/sync", "/synchronous", "/read-only-sync", "/replica"})
        EXPECT_EQ(ask(facts, path), 200) << path;
    for (const char* path : {"/async", "/quorum", "/read-only-quorum"}) EXPECT_EQ(ask(facts, path), 503) << path;
    facts.sync_standby = false;
    facts.quorum_standby = true;
    for (const char* path : {"/quorum", "/read-only-quorum"}) EXPECT_EQ(ask(facts, path), 200) << path;
    for (const char* path : {"/async", "/sync", "/read-only-sync"}) EXPECT_EQ(ask(facts, path), 503) << path;
}

TEST(health, the_leader_of_a_standby_cluster_is_no_primary_and_no_replica) {
    NodeFacts facts = standby();
    facts.role = Role::standby_leader;
    facts.holds_lease = facts.standby_cluster = true;
    for (const char* path : {"/standby_leader", "/standby-leader", "/leader", "/read-only"})
        EXPECT_EQ(ask(facts, path), 200) << path;
    for (const char* path : {"/", "/primary", "/replica", "/async"}) EXPECT_EQ(ask(facts, path), 503) << path;
}

TEST(health, without_the_lease_a_primary_is_none_unless_the_cluster_is_paused_and_etcd_away) {
    NodeFacts facts = primary();
    facts.holds_lease = false;
    EXPECT_EQ(ask(facts, "/primary"), 503);
    facts.has_view = false;
    EXPECT_EQ(ask(facts, "/primary"), 503);
    facts.paused = true;
    EXPECT_EQ(ask(facts, "/primary"), 200);
    EXPECT_EQ(ask(facts, "/leader"), 200);
}

TEST(health, a_replica_may_be_asked_for_its_lag_state_and_tags) {
    NodeFacts facts = standby();
    facts.published_tags = {{"zone", "a"}, {"weight", 3}, {"fast", true}, {"gone", nullptr}};
    EXPECT_EQ(ask(facts, "/replica", {{"lag", "200"}}), 200);
    EXPECT_EQ(ask(facts, "/replica", {{"lag", "199"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"lag", "1kB"}}), 200);
    EXPECT_EQ(ask(facts, "/replica", {{"lag", "a lot"}}), 200);
    EXPECT_EQ(ask(facts, "/async", {{"lag", "100"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"replication_state", "streaming"}}), 200);
    EXPECT_EQ(ask(facts, "/replica", {{"replication_state", "in archive recovery"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"tag_zone", "a"}, {"tag_weight", "3"}, {"tag_fast", "true"}}), 200);
    EXPECT_EQ(ask(facts, "/replica", {{"tag_zone", "b"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"tag_other", "b"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"tag_gone", "null"}}), 503);
    EXPECT_EQ(ask(facts, "/health", {{"tag_zone", "b"}}), 503);
    EXPECT_EQ(ask(facts, "/replica", {{"tag_zone", "a"}, {"tag_zone", "b"}}), 200);
    NodeFacts leader = primary();
    EXPECT_EQ(ask(leader, "/primary", {{"tag_zone", "b"}}), 200);
}

TEST(health, who_is_not_running_or_not_balanced_to_takes_no_reads) {
    NodeFacts facts = standby();
    facts.tags.noloadbalance = true;
    EXPECT_EQ(ask(facts, "/replica"), 503);
    EXPECT_EQ(ask(facts, "/health"), 200);
    facts = standby();
    facts.state = "creating replica";
    EXPECT_EQ(ask(facts, "/replica"), 503);
    EXPECT_EQ(ask(facts, "/health"), 503);
}

TEST(health, without_a_cluster_view_nobody_is_synchronous_or_asynchronous) {
    NodeFacts facts = standby();
    facts.has_view = false;
    EXPECT_EQ(ask(facts, "/async"), 503);
    EXPECT_EQ(ask(facts, "/replica"), 200);
}

TEST(readiness, is_for_the_leader_and_for_standbys_that_are_close) {
    EXPECT_EQ(readiness_status(primary(), {}), 200);
    NodeFacts facts = standby();
    EXPECT_EQ(readiness_status(facts, {}), 200);
    EXPECT_EQ(readiness_status(facts, {{"lag", "150"}}), 503);
    EXPECT_EQ(readiness_status(facts, {{"lag", "150"}, {"mode", "write"}}), 200);
    facts.maximum_lag_on_failover_bytes = 100;
    EXPECT_EQ(readiness_status(facts, {}), 503);
    facts = standby();
    facts.server.replication_state = "in archive recovery";
    EXPECT_EQ(readiness_status(facts, {}), 503);
    facts = standby();
    facts.has_view = false;
    EXPECT_EQ(readiness_status(facts, {}), 503);
    facts.server.latest_end = Lsn{950};
    EXPECT_EQ(readiness_status(facts, {}), 200);
}

TEST(liveness, is_the_loops) {
    NodeFacts facts = primary();
    EXPECT_EQ(liveness_status(facts), 200);
    facts.alive = false;
    EXPECT_EQ(liveness_status(facts), 503);
    facts.paused = true;
    EXPECT_EQ(liveness_status(facts), 200);
}

}  // namespace
}  // namespace pgkeel::agent::rest
