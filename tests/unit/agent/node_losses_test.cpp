// What a failover has cost, as the nodes tell it.
#include "async/spawn.hpp"
#include "cluster/lost_wal.hpp"
#include "unit/agent/fake_cluster.hpp"

#include <gtest/gtest.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* fast_loop = R"({"ttl":3,"loop_wait":1,"retry_timeout":3})";

/// pg-a leads, pg-b follows; then pg-a writes what pg-b does not get, and is cut off from etcd.
class NodeLosses : public testing::Test {
  protected:
    void SetUp() override {
        spawn(loop.context.get_executor(), "pg-a", run_node(a.node, ended));
        ASSERT_TRUE(loop.until([&] { return a.node.holds_lease() && a.node.last().server.is_primary(); }, 5s));
        spawn(loop.context.get_executor(), "pg-b", run_node(b.node, ended));
        ASSERT_TRUE(loop.until([&] { return b.node.last().server.replication_state == "streaming"; }, 5s));
        a.server.can_rewind = b.server.can_rewind = true;
    }
    void TearDown() override {
        for (FakeNode* node : {&a, &b}) {
            node->store.connect(true);
            node->node.shut_down();
        }
        EXPECT_TRUE(loop.until([&] { return ended == 2; }, 15s));
        etcd.break_watches();
        loop.until([] { return false; }, 30ms);
    }
    void lose_the_leader(std::uint64_t bytes) {
        b.server.follows.clear();  // its connection is gone
        begin = a.server.position;
        a.server.write(bytes);
        ASSERT_TRUE(loop.until(
            [&] { return b.node.last().view && b.node.last().view->status.optime == a.server.position; }, 5s));
        end = a.server.position;
        a.store.connect(false);
        ASSERT_TRUE(loop.until([&] { return b.node.last().server.is_primary() && !reports().empty(); }, 15s));
    }
    std::vector<cluster::LostWalReport> reports() {
        return cluster::read_lost_wal(keys, etcd.range(keys.lost_wal()).values);
    }
    void come_back() {
        a.server.divergence = {true, "it wrote on", {Timeline{1}, begin, Timeline{1}, Lsn{end.bytes + 100}}};
        a.store.connect(true);
    }

    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    FakeServers servers;
    const cluster::Keys keys{"/service/demo/"};
    FakeNode a{loop, etcd, servers, "pg-a", {}, fast_loop};
    FakeNode b{loop, etcd, servers, "pg-b", {}, fast_loop};
    Lsn begin, end;
    int ended = 0;
};

TEST_F(NodeLosses, the_new_leader_tells_what_it_knows_and_the_old_one_what_it_finds) {
    lose_the_leader(1000);
    ASSERT_EQ(reports().size(), 1U);
    const cluster::LostWalReport known = reports().front();
    EXPECT_EQ(known.member, "pg-a");
    EXPECT_EQ(known.timeline, Timeline{1});
    EXPECT_EQ(known.begin, begin);
    EXPECT_EQ(known.bytes(), 1000U);
    EXPECT_FALSE(known.exact);
    http::Request request;
    request.method = "GET";
    request.target = "/pgkeel/lost_wal";
    const std::string page = loop.run(b.api.handle(request)).body;
    EXPECT_NE(page.find(R"("bytes": 1000)"), std::string::npos) << page;
    come_back();
    ASSERT_TRUE(loop.until([&] { return !reports().empty() && reports().front().exact; }, 10s));
    const cluster::LostWalReport found = reports().front();
    EXPECT_EQ(found.bytes(), 1100U);
    EXPECT_EQ(found.kept_in, "/kept");
    ASSERT_TRUE(loop.until([&] { return a.server.running && !a.server.as_primary; }, 10s));
    EXPECT_EQ(a.server.kept.size(), 1U);
    EXPECT_EQ(a.server.rewinds, 1);
}

TEST_F(NodeLosses, where_the_servers_own_wal_ends_is_what_counts) {
    lose_the_leader(1000);
    a.server.keeps->end = Lsn{end.bytes + 10};
    come_back();
    ASSERT_TRUE(loop.until([&] { return !reports().empty() && reports().front().exact; }, 10s));
    EXPECT_EQ(reports().front().bytes(), 1010U);
}

// What it has alone is its own recovery's checkpoint, and the rest of that segment.
TEST_F(NodeLosses, where_that_is_the_place_where_the_timeline_was_left_nothing_is_lost) {
    lose_the_leader(1000);
    a.server.keeps->end = begin;
    come_back();
    ASSERT_TRUE(loop.until([&] { return !reports().empty() && reports().front().exact; }, 10s));
    EXPECT_EQ(reports().front().bytes(), 0U);
    EXPECT_EQ(cluster::describe(reports().front()), "nothing is lost of what pg-a wrote on timeline 1");
}

TEST_F(NodeLosses, a_disk_without_room_does_not_keep_a_node_away) {
    lose_the_leader(1000);
    a.server.keeps =
        postgres::Server::KeptWal{.directory = "", .end = Lsn{begin.bytes + 900}, .why_not = "the disk is full"};
    come_back();
    ASSERT_TRUE(loop.until([&] { return a.server.rewinds == 1 && a.server.running && !a.server.as_primary; }, 10s));
    ASSERT_EQ(reports().size(), 1U);
    EXPECT_EQ(reports().front().bytes(), 900U) << "it was measured all the same";
    EXPECT_NE(reports().front().not_kept.find("the disk is full"), std::string::npos);
}

TEST_F(NodeLosses, unless_it_is_required) {
    lose_the_leader(1000);
    a.server.keeps = fail(Errc::unsafe, "the disk is full");
    come_back();
    ASSERT_TRUE(loop.until([&] { return a.server.kept.size() >= 1; }, 10s));
    loop.until([] { return false; }, 1500ms);
    EXPECT_EQ(a.server.rewinds, 0);
    EXPECT_FALSE(a.server.running);
    a.server.keeps = postgres::Server::KeptWal{.directory = "/kept", .bytes = 1, .whole = true};
    ASSERT_TRUE(loop.until([&] { return a.server.running && !a.server.as_primary; }, 15s));
    EXPECT_EQ(a.server.rewinds, 1);
}

TEST_F(NodeLosses, what_a_rewind_has_broken_goes_when_there_is_something_to_copy) {
    b.server.damaged = true;
    b.server.removes = false;
    a.server.answers_replication = false;
    b.server.kill_postmaster();
    loop.until([] { return false; }, 2500ms);
    EXPECT_EQ(b.server.removals_tried, 0) << "the leader key names it, but nobody knows whether it still lives";
    a.server.answers_replication = true;
    ASSERT_TRUE(loop.until([&] { return b.server.removals_tried > 0; }, 10s));
    loop.until([] { return false; }, 2500ms);
    EXPECT_LE(b.server.removals_tried, 5) << "what fails is not tried all the time";
    EXPECT_FALSE(b.server.running);
    b.server.removes = true;
    ASSERT_TRUE(loop.until([&] { return b.server.running && !b.server.damaged; }, 10s));
    EXPECT_TRUE(b.server.kept.empty());
}

TEST_F(NodeLosses, what_nobody_knows_the_cluster_of_waits_for_a_person) {
    b.server.damaged = b.server.hides_identifier = true;
    b.server.kill_postmaster();
    loop.until([] { return false; }, 2500ms);
    EXPECT_EQ(b.server.removals_tried, 0);
    EXPECT_EQ(b.node.reinitialize(true, false).status, 200);
    ASSERT_TRUE(loop.until([&] { return b.server.running && !b.server.damaged; }, 10s));
}

TEST_F(NodeLosses, a_rewind_that_breaks_takes_nothing_away_before_another_copy_was_seen) {
    a.server.rewind_breaks = a.server.removes_after_rewind_failure = true;
    b.server.answers_replication = false;
    lose_the_leader(1000);
    come_back();
    ASSERT_TRUE(loop.until([&] { return a.server.rewinds > 0; }, 10s));
    loop.until([] { return false; }, 2500ms);
    EXPECT_EQ(a.server.removals_tried, 0);
    EXPECT_FALSE(a.server.running);
    b.server.answers_replication = true;
    ASSERT_TRUE(loop.until([&] { return a.server.running && !a.server.damaged; }, 15s));
    EXPECT_EQ(a.server.kept.size(), 1U) << "all was kept before the rewind began";
}

TEST_F(NodeLosses, a_leader_that_has_released_its_lease_has_lost_nothing) {
    a.node.shut_down();
    ASSERT_TRUE(loop.until([&] { return b.node.last().server.is_primary(); }, 15s));
    ASSERT_TRUE(loop.until([&] { return !b.node.last().view->history.empty(); }, 5s));
    EXPECT_TRUE(reports().empty());
}

}  // namespace
}  // namespace pgkeel::test
