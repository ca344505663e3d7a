#include "cli/member_table.hpp"

#include "cli/terminal.hpp"

#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

#include <sstream>

namespace pgkeel::cli {
namespace {

cluster::MemberSummary member(const std::string& name, const std::string& port, cluster::Standing standing) {
    cluster::MemberSummary made;
    made.name = name;
    made.host = "127.0.0.1";
    made.port = port;
    made.standing = standing;
    made.state = made.leads() ? "running" : "streaming";
    made.timeline = Timeline{3};
    if (!made.leads()) made.received = made.replayed = made.any = {Lsn{0x30001A8}, 2097152};
    return made;
}

cluster::ClusterSummary three_nodes(cluster::Standing standby = cluster::Standing::replica) {
    cluster::ClusterSummary summary;
    summary.system_identifier = "7430000000000000001";
    summary.members = {member("pg-a", "15432", cluster::Standing::leader), member("pg-b", "15433", standby),
                       member("pg-c", "15434", cluster::Standing::replica)};
    return summary;
}

std::size_t widest(const std::string& text) {
    std::size_t width = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) width = std::max(width, display_width(line));
    return width;
}

TEST(member_table, three_nodes_fit_in_80_columns) {
    EXPECT_LE(widest(member_table("demo", three_nodes(), 80, false)), 80U);
    EXPECT_LE(widest(member_table("demo", three_nodes(cluster::Standing::sync_standby), 80, false)), 80U);
    EXPECT_LE(widest(member_table("demo", three_nodes(), 80, true)), 80U);
}

TEST(member_table, three_nodes_that_wait_for_a_restart_fit_too) {
    auto summary = three_nodes();
    for (auto& one : summary.members) {
        one.pending_restart = true;
        one.pending_restart_reason = {{"max_connections", {{"old_value", "100"}, {"new_value", "200"}}}};
    }
    EXPECT_LE(widest(member_table("demo", summary, 80, false)), 80U);
    EXPECT_LE(widest(member_table("demo", summary, 80, true)), 80U);
}

TEST(member_table, shows_every_column_where_there_is_room) {
    const auto text = member_table("demo", three_nodes(), 200, false);
    for (const char* column :
         {"Member", "Host", "Role", "State", "TL", "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag"})
        EXPECT_NE(text.find(column), std::string::npos) << column;
    EXPECT_NE(text.find("Cluster: demo (7430000000000000001)"), std::string::npos);
    EXPECT_NE(text.find("0/30001A8"), std::string::npos);
    EXPECT_NE(text.find("2.0 MB"), std::string::npos);
    EXPECT_EQ(text.find("Tags"), std::string::npos);
    EXPECT_EQ(text.find("Pending restart"), std::string::npos);
}

TEST(member_table, says_what_waits_only_when_something_does) {
    auto summary = three_nodes();
    summary.members[1].pending_restart = true;
    summary.members[1].pending_restart_reason = {{"max_connections", {{"old_value", "100"}, {"new_value", "200"}}}};
    summary.members[2].tags = {{"nofailover", true}};
    summary.settings.pause = true;
    summary.scheduled = FailoverRequest{"pg-a", "pg-b", "2026-11-21T03:00:00+00:00", 7};
    const auto text = member_table("demo", summary, 200, false);
    EXPECT_NE(text.find("Pending restart"), std::string::npos);
    EXPECT_NE(text.find("nofailover: true"), std::string::npos);
    EXPECT_NE(text.find("max_connections: 100->200"), std::string::npos);
    EXPECT_NE(text.find("paused"), std::string::npos);
    EXPECT_NE(text.find("Switchover scheduled at: 2026-11-21T03:00:00+00:00"), std::string::npos);
}

TEST(member_table, port_is_left_out_while_it_says_nothing) {
    auto summary = three_nodes();
    for (std::size_t i = 0; i < 3; ++i) {
        summary.members[i].host = "10.0.0." + std::to_string(i + 1);
        summary.members[i].port = "5432";
    }
    EXPECT_EQ(member_table("demo", summary, 200, false).find(":5432"), std::string::npos);
    summary.members[2].host = "10.0.0.1";
    EXPECT_NE(member_table("demo", summary, 200, false).find("10.0.0.1:5432"), std::string::npos);
}

TEST(member_records, have_patronictls_keys_and_types) {
    const auto records = member_records("demo", three_nodes());
    EXPECT_EQ(
        boost::json::serialize(records[0]),
        R"({"Cluster":"demo","Member":"pg-a","Host":"127.0.0.1:15432","Role":"Leader","State":"running","TL":3})");
    EXPECT_EQ(
        boost::json::serialize(records[1]),
        R"({"Cluster":"demo","Member":"pg-b","Host":"127.0.0.1:15433","Role":"Replica","State":"streaming","TL":3,"Receive LSN":"0/30001A8","Receive Lag":2,"Replay LSN":"0/30001A8","Replay Lag":2,"Lag in MB":2})");
}

TEST(member_records, unknown_position_has_no_lag) {
    auto summary = three_nodes();
    summary.members[1].received = summary.members[1].replayed = summary.members[1].any = {};
    const auto records = member_records("demo", summary);
    const auto& record = records[1].get_object();
    EXPECT_EQ(record.at("Receive LSN").as_string(), "unknown");
    EXPECT_FALSE(record.contains("Receive Lag"));
    EXPECT_EQ(record.at("Lag in MB").as_string(), "unknown");
}

TEST(member_columns, are_fixed_up_to_those_that_are_rare) {
    auto summary = three_nodes();
    EXPECT_EQ(member_columns(member_records("demo", summary)).size(), 11U);
    summary.members[0].tags = {{"az", "b"}};
    EXPECT_EQ(member_columns(member_records("demo", summary)).back(), "Tags");
}

TEST(human_bytes, has_three_digits_at_most) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.0 kB");
    EXPECT_EQ(human_bytes(1024 * 10), "10 kB");
    EXPECT_EQ(human_bytes(1500000000), "1.4 GB");
    EXPECT_EQ(human_bytes(UINT64_MAX), "16384 PB");
}

}  // namespace
}  // namespace pgkeel::cli
