// What happens to a node in the middle of something else: requests and signals that come at the worst moment.
#include "async/spawn.hpp"
#include "unit/agent/fake_cluster.hpp"

#include <gtest/gtest.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;

class NodeRaces : public testing::Test {
  protected:
    void SetUp() override {
        spawn(loop.context.get_executor(), "pg-a", run_node(one.node, ended));
        ASSERT_TRUE(loop.until(
            [&] { return one.node.holds_lease() && one.node.last().server.is_primary() && !one.node.last().operation; },
            5s));
    }
    void TearDown() override {
        one.server.before_start = nullptr;
        one.node.shut_down();
        EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
        etcd.break_watches();
        loop.until([] { return false; }, 30ms);
    }

    void put(const std::string& key, const std::string& value) {
        etcd.commit({{}, {etcd::Operation::put("/service/demo/" + key, value)}, {}});
    }
    void end(FakeNode& second) {
        second.node.shut_down();
        EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
        ended = 0;
        etcd.break_watches();
        loop.until([] { return false; }, 30ms);
    }

    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    FakeServers servers;
    FakeNode one{loop, etcd, servers, "pg-a", {}, R"({"ttl":6,"loop_wait":1,"retry_timeout":3})"};
    int ended = 0;
};

TEST_F(NodeRaces, a_quiet_node_does_not_read_what_the_watch_has_told) {
    const auto pass = [this](Duration time) { loop.until([] { return false; }, time); };
    pass(2500ms);
    const auto before = etcd.reads();
    pass(3200ms);
    EXPECT_LE(etcd.reads() - before, 1U) << "one for each tick";
    // News are read at once.
    etcd.commit(
        {{},
         {etcd::Operation::put("/service/demo/config", R"({"ttl":6,"loop_wait":1,"maximum_lag_on_failover":7})")},
         {}});
    EXPECT_TRUE(loop.until([&] { return one.node.last().settings.maximum_lag_on_failover_bytes == 7; }, 500ms));
    // Without a watch nobody tells.
    etcd.break_watches();
    const auto broken = etcd.reads();
    EXPECT_TRUE(loop.until([&] { return etcd.reads() >= broken + 2; }, 2500ms));
}

TEST_F(NodeRaces, a_key_of_an_etcd_that_was_restored_promotes_nobody) {
    FakeNode two{loop, etcd, servers, "pg-b", {}, R"({"ttl":6,"loop_wait":1,"retry_timeout":3})"};
    spawn(loop.context.get_executor(), "pg-b", run_node(two.node, ended));
    ASSERT_TRUE(loop.until([&] { return two.node.last().server.replication_state == "streaming"; }, 8s));
    put("failover", R"({"leader":"pg-a","member":"pg-b"})");
    const auto pg_b_leads = [&] {
        return two.server.as_primary && two.node.holds_lease() && one.server.running && !one.server.as_primary &&
               one.server.follows == "pg-b";
    };
    ASSERT_TRUE(loop.until(pg_b_leads, 10s));
    one.server.follows.clear();  // it does not get what is written now
    two.server.write(1000);
    const int starts = one.server.restarts;
    put("leader", "pg-a");
    ASSERT_TRUE(loop.until([&] { return !two.node.holds_lease(); }, 5s));
    EXPECT_TRUE(loop.until([&] { return two.server.as_primary && two.server.running && two.node.holds_lease(); }, 15s));
    EXPECT_FALSE(one.server.as_primary);
    EXPECT_EQ(one.server.restarts, starts) << "pg-a was promoted, or started for it";
    end(two);
}

// What PostgreSQL's logging collector does after its postmaster's end takes a moment, and a look may fall into it.
TEST_F(NodeRaces, a_server_that_was_stopped_in_a_paused_cluster_stays_down) {
    FakeNode two{loop, etcd, servers, "pg-b", {}, R"({"ttl":6,"loop_wait":1,"retry_timeout":3})"};
    spawn(loop.context.get_executor(), "pg-b", run_node(two.node, ended));
    ASSERT_TRUE(loop.until([&] { return two.node.last().server.replication_state == "streaming"; }, 8s));
    put("config", R"({"ttl":6,"loop_wait":1,"retry_timeout":3,"pause":true})");
    ASSERT_TRUE(loop.until([&] { return two.node.last().settings.pause; }, 3s));
    two.server.remains = true;
    two.server.kill_postmaster();
    ASSERT_TRUE(loop.until([&] { return !two.server.remains; }, 3s)) << "nothing of it stays";
    EXPECT_FALSE(loop.until([&] { return two.server.running; }, 2s));
    end(two);
}

TEST_F(NodeRaces, a_new_slot_is_told_with_a_renewal_of_its_own) {
    put("config", R"({"ttl":60,"loop_wait":12,"retry_timeout":10})");
    ASSERT_TRUE(
        loop.until([&] { return one.node.last().lease && one.node.last().lease->terms.renew_every >= 10s; }, 8s));
    put("members/pg-b", R"({"conn_url":"postgres://127.0.0.1:5433/postgres","state":"creating replica"})");
    const auto told = [&] {
        return etcd.range("/service/demo/status").values.at(0).value.find("pg_b") != std::string::npos;
    };
    EXPECT_TRUE(loop.until(told, 2s));
    etcd.commit({{}, {etcd::Operation::remove("/service/demo/members/pg-b")}, {}});
}

TEST_F(NodeRaces, a_restart_is_refused_once_the_agent_stops) {
    const int before = one.server.restarts;
    one.node.shut_down();
    const auto outcome = loop.run(one.node.restart({}));
    EXPECT_EQ(outcome.status, 503);
    EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
    EXPECT_EQ(one.server.restarts, before);
    EXPECT_FALSE(one.server.running);
}

TEST_F(NodeRaces, a_server_that_is_being_restarted_does_not_come_up_behind_an_agent_that_stops) {
    const int before = one.server.restarts;
    one.server.before_start = [this] { one.node.shut_down(); };
    const auto outcome = loop.run(one.node.restart({}));
    EXPECT_EQ(outcome.status, 503);
    EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
    EXPECT_EQ(one.server.restarts, before);
    EXPECT_FALSE(one.server.running);
}

TEST_F(NodeRaces, the_servers_configuration_changes_when_no_operation_runs) {
    int asked = 0;
    int during_operation = 0;
    one.server.before_start = [&] {
        one.node.reload(one.node.identity(), [&] {
            if (one.node.last().operation) ++during_operation;
            return ++asked == 2;  // it may say that this moment is no good
        });
        one.node.wake();
    };
    EXPECT_EQ(loop.run(one.node.restart({})).status, 200);
    EXPECT_TRUE(loop.until([&] { return asked == 2; }, 5s));
    loop.until([] { return false; }, 100ms);
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(during_operation, 0);
}

TEST_F(NodeRaces, a_leader_that_loses_etcd_stops_so_that_its_standbys_get_everything) {
    one.store.connect(false);
    ASSERT_TRUE(loop.until([&] { return one.server.running && !one.server.as_primary; }, 8s)) << "then it serves reads";
    EXPECT_EQ(one.server.last_stop.mode, postgres::StopMode::fast);
    EXPECT_TRUE(one.server.last_stop.urgent) << "before its lease ends";
    EXPECT_LT(one.server.last_stop.timeout, 1s);
    one.store.connect(true);
}

TEST_F(NodeRaces, a_checkpoint_that_a_promotion_still_owes_is_made_up_for) {
    one.server.timeline = Timeline{2};
    one.server.checkpointed = Timeline{1};
    one.node.wake();
    EXPECT_TRUE(loop.until([&] { return one.server.checkpointed == Timeline{2}; }, 5s));
}

}  // namespace
}  // namespace pgkeel::test
