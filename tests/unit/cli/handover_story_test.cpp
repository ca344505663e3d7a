#include "cli/handover_story.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

const cluster::Keys keys{"/service/demo/"};

etcd::WatchEvent put(const std::string& name, std::string text) {
    return {false, {keys.prefix + name, std::move(text), 1, 2, 0}};
}
etcd::WatchEvent removed(const std::string& name) {
    return {true, {keys.prefix + name, "", 0, 2, 0}};
}

std::string member(const std::string& state, const std::string& role, int timeline) {
    return R"({"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"http://127.0.0.1:8008/patroni","state":")" +
           state + R"(","role":")" + role + R"(","timeline":)" + std::to_string(timeline) + "}";
}

HandoverStory two_nodes() {
    const std::vector<etcd::KeyValue> values = {{keys.leader(), "a", 1, 1, 0},
                                                {keys.member("a"), member("running", "primary", 3), 1, 1, 0},
                                                {keys.member("b"), member("running", "replica", 3), 1, 1, 0}};
    return {keys, cluster::parse_view(keys, values, 1)};
}

TEST(handover_story, tells_a_switchover_from_begin_to_end) {
    auto story = two_nodes();
    std::vector<std::string> told;
    const auto happens = [&](const etcd::WatchEvent& event) {
        for (auto& line : story.tell({event})) told.push_back(line);
    };
    happens(put("failover", R"({"leader":"a","member":"b"})"));
    happens(put("members/a", member("stopping", "primary", 3)));
    happens(put("status", R"({"optime":7})"));
    happens(removed("leader"));
    EXPECT_FALSE(story.leader_changed());
    happens(put("leader", "b"));
    EXPECT_TRUE(story.leader_changed());
    EXPECT_FALSE(story.new_leader_runs());
    happens(put("failover", "{}"));
    happens(put("members/b", member("running", "primary", 4)));
    EXPECT_TRUE(story.new_leader_runs());
    EXPECT_TRUE(story.request_cleared());
    EXPECT_EQ(told,
              (std::vector<std::string>{"the request is in etcd: the agents know", "a: stopping",
                                        "the leader key is free: a holds it no more", "b took the leader key",
                                        "the request has been taken off the table", "b is primary on timeline 4"}));
    EXPECT_EQ(story.old_leader(), "a");
    EXPECT_EQ(story.leader(), "b");
}

TEST(handover_story, a_refused_request_is_cleared_without_a_new_leader) {
    auto story = two_nodes();
    EXPECT_FALSE(story.request_cleared());
    story.tell({put("failover", R"({"leader":"a"})")});
    EXPECT_FALSE(story.request_cleared());
    story.tell({removed("failover")});
    EXPECT_TRUE(story.request_cleared());
    EXPECT_FALSE(story.leader_changed());
}

TEST(handover_story, renewals_are_no_news) {
    auto story = two_nodes();
    EXPECT_TRUE(story.tell({put("leader", "a"), put("members/a", member("running", "primary", 3))}).empty());
}

TEST(handover_story, a_leader_that_comes_back_has_not_changed) {
    auto story = two_nodes();
    EXPECT_EQ(story.tell({removed("leader"), put("leader", "a")}).size(), 2U);
    EXPECT_FALSE(story.leader_changed());
}

}  // namespace
}  // namespace pgkeel::cli
