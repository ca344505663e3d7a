#include "cluster/peer_answer.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

TEST(peer_status, of_a_primary) {
    const auto status = parse_peer_status(
        "a",
        R"({"state":"running","role":"primary","server_version":150020,"xlog":{"location":67108864},"timeline":3,)"
        R"("database_system_identifier":"735","tags":{"failover_priority":2},"patroni":{"version":"4.1.4","scope":"b","name":"a"}})");
    EXPECT_TRUE(status.reachable);
    EXPECT_FALSE(status.in_recovery);
    EXPECT_EQ(status.position, Lsn{67108864});
    EXPECT_EQ(status.timeline, Timeline{3});
    EXPECT_EQ(status.system_identifier, "735");
    EXPECT_EQ(status.tags.failover_priority, 2);
    EXPECT_EQ(status.state, "running");
}

TEST(peer_status, of_a_standby_is_where_it_has_got_to) {
    const auto received = parse_peer_status(
        "b",
        R"({"state":"running","role":"replica","xlog":{"received_location":50,"replayed_location":40,"replayed_timestamp":null,)"
        R"("paused":false},"timeline":3,"watchdog_failed":true})");
    EXPECT_TRUE(received.reachable);
    EXPECT_TRUE(received.in_recovery);
    EXPECT_EQ(received.position, Lsn{50});
    EXPECT_TRUE(received.watchdog_failed);
    EXPECT_EQ(parse_peer_status("b", R"({"role":"replica","xlog":{"replayed_location":40}})").position, Lsn{40});
}

TEST(peer_status, knows_the_old_word_for_a_primary) {
    const auto status = parse_peer_status("a", R"({"state":"running","role":"master","xlog":{"location":5}})");
    EXPECT_TRUE(status.reachable);
    EXPECT_FALSE(status.in_recovery);
    EXPECT_FALSE(parse_peer_status("a", R"({"role":"master","xlog":{}})").in_recovery)
        << "even where it knows no position";
}

TEST(peer_status, without_a_position_is_not_reachable) {
    const auto status = parse_peer_status("a", R"({"state":"stopped","role":"replica"})");
    EXPECT_FALSE(status.reachable);
    EXPECT_TRUE(status.in_recovery);
    const auto primary = parse_peer_status("a", R"({"state":"running","role":"primary"})");
    EXPECT_FALSE(primary.reachable);
    EXPECT_FALSE(primary.in_recovery);
}

TEST(peer_status, of_somebody_else_at_this_address_does_not_count) {
    EXPECT_FALSE(parse_peer_status("a", R"({"role":"replica","xlog":{"replayed_location":40},"patroni":{"name":"b"}})")
                     .reachable);
    EXPECT_TRUE(
        parse_peer_status("a", R"({"role":"replica","xlog":{"replayed_location":40},"patroni":{"version":"3.0.2"}})")
            .reachable);
}

TEST(peer_status, of_garbage_is_not_reachable) {
    for (const char* body : {"", "{", "[]", "<html>", R"({"xlog":7})", R"({"xlog":[]})", "null"})
        EXPECT_FALSE(parse_peer_status("a", body).reachable) << body;
}

}  // namespace
}  // namespace pgkeel::cluster
