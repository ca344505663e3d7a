// A node that leads a standby cluster: from its first start to its promotion and back.
#include "async/spawn.hpp"
#include "unit/agent/fake_cluster.hpp"

#include <gtest/gtest.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;

class StandbyCluster : public testing::Test {
  protected:
    static constexpr const char* alone = R"({"ttl":6,"loop_wait":1,"retry_timeout":3})";
    static constexpr const char* following =
        R"({"ttl":6,"loop_wait":1,"retry_timeout":3,"standby_cluster":{"host":"db1"}})";

    void SetUp() override {
        remote.has_data = remote.running = remote.as_primary = true;
        remote.position = Lsn{0x3000000};
        spawn(loop.context.get_executor(), "pg-a", run_node(one.node, ended));
        ASSERT_TRUE(loop.until([&] { return leads_in_recovery(); }, 5s));
    }
    void TearDown() override {
        one.node.shut_down();
        EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
        etcd.break_watches();
        loop.until([] { return false; }, 30ms);
    }
    bool leads_in_recovery() {
        return one.node.holds_lease() && one.node.last().server.in_recovery && !one.node.last().operation &&
               one.server.follows == "the remote primary db1:5432" && one.node.role() == Role::standby_leader;
    }
    void configure(const char* config) {
        ASSERT_TRUE(loop.run(
            one.store.commit({{}, {etcd::Operation::put("/service/demo/config", config)}, {}}, loop.clock.now() + 1s)));
    }
    const Member* member() {
        const auto& view = one.node.last().view;
        return view ? view->member("pg-a") : nullptr;
    }

    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    FakeServers servers;
    FakeServer remote{servers, "the remote primary db1:5432"};
    FakeNode one{loop, etcd, servers, "pg-a", {}, following};
    int ended = 0;
};

TEST_F(StandbyCluster, begins_as_a_copy_and_says_where_it_is) {
    remote.write(0x1000);
    EXPECT_TRUE(loop.until([&] { return member() && member()->role == Role::standby_leader; }, 5s));
    EXPECT_TRUE(
        loop.until([&] { return one.node.last().view && one.node.last().view->status.optime == Lsn{0x3001000}; }, 5s));
    EXPECT_EQ(one.node.last().view->initialize, servers.system_identifier);
    EXPECT_FALSE(one.server.as_primary);
}

TEST_F(StandbyCluster, is_promoted_when_the_section_is_removed_and_demoted_when_it_is_back) {
    configure(alone);
    EXPECT_TRUE(loop.until([&] { return one.node.last().server.is_primary() && !one.node.last().operation; }, 5s));
    EXPECT_EQ(one.node.role(), Role::primary);
    EXPECT_TRUE(one.node.holds_lease());
    const auto epoch = one.node.last().view->leader->create_revision;
    configure(following);
    EXPECT_TRUE(loop.until([&] { return leads_in_recovery(); }, 5s));
    EXPECT_EQ(one.node.last().view->leader->create_revision, epoch) << "the lease was kept";
}

}  // namespace
}  // namespace pgkeel::test
