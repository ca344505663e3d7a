// What a node publishes of itself.
#include "async/spawn.hpp"
#include "unit/agent/fake_cluster.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;

class MemberKey : public testing::Test {
  protected:
    void SetUp() override {
        listen("5432", "/run/pg", "boot:1:2");
        spawn(loop.context.get_executor(), "pg-a", run_node(one.node, ended));
        ASSERT_TRUE(loop.until([&] { return one.node.holds_lease() && published("state") == "running"; }, 5s));
    }
    void TearDown() override {
        one.node.shut_down();
        EXPECT_TRUE(loop.until([&] { return ended == 1; }, 15s));
        etcd.break_watches();
        loop.until([] { return false; }, 30ms);
    }
    void listen(const std::string& port, const std::string& directory, const std::string& id) {
        one.server.port = port;
        one.server.unix_socket = directory;
        one.server.unix_socket_id = id;
        one.node.wake();
    }
    /// A text of the member key in etcd; empty: it is not in there.
    std::string published(const char* name) {
        const auto read = loop.run(one.store.range("/service/demo/members/pg-a", loop.clock.now() + 1s));
        if (!read || read->values.size() != 1) return {};
        const boost::json::value member = boost::json::parse(read->values[0].value);
        const auto* value = member.get_object().if_contains(name);
        return value != nullptr ? std::string(value->as_string()) : std::string();
    }
    bool becomes(const char* name, const std::string& value) {
        return loop.until([&] { return published(name) == value; }, 5s);
    }

    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    FakeServers servers;
    FakeNode one{loop, etcd, servers, "pg-a", {}, R"({"ttl":6,"loop_wait":1,"retry_timeout":3})"};
    int ended = 0;
};

TEST_F(MemberKey, names_the_unix_socket_of_a_running_server) {
    EXPECT_EQ(published("unix_socket"), "/run/pg");
    EXPECT_EQ(published("unix_socket_id"), "boot:1:2");
    listen("5432", "/run/other", "boot:1:3");
    EXPECT_TRUE(becomes("unix_socket", "/run/other"));
    EXPECT_EQ(published("unix_socket_id"), "boot:1:3");
}

TEST_F(MemberKey, names_no_unix_socket_with_another_port_than_the_address_has) {
    listen("5433", "/run/pg", "boot:1:2");
    EXPECT_TRUE(becomes("unix_socket", ""));
    EXPECT_EQ(published("unix_socket_id"), "");
    listen("5432", "/run/pg", "boot:1:2");
    EXPECT_TRUE(becomes("unix_socket", "/run/pg"));
}

TEST_F(MemberKey, names_no_unix_socket_when_there_is_none) {
    listen("5432", "", "");
    EXPECT_TRUE(becomes("unix_socket", ""));
    EXPECT_EQ(published("conn_url"), "postgres://127.0.0.1:5432/postgres");
}

}  // namespace
}  // namespace pgkeel::test
