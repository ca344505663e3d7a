#include "cluster/admin_summary.hpp"

#include "cluster/keys.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

const Keys keys{"/service/demo/"};

etcd::KeyValue value(const std::string& name, std::string text) {
    return {keys.prefix + name, std::move(text), 1, 1, 0};
}

std::vector<etcd::KeyValue> three_members() {
    return {
        value("config", R"({"ttl":30})"),
        value("initialize", "7430000000000000001"),
        value("leader", "n1"),
        value(
            "members/n1",
            R"({"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","role":"primary","version":"4.1.0","xlog_location":100663296,"timeline":3})"),
        value(
            "members/n2",
            R"({"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica","version":"4.1.0","xlog_location":100663296,"receive_lsn":100663296,"replay_lsn":67108864,"replication_state":"streaming","timeline":3,"tags":{"clonefrom":true}})"),
        value(
            "members/n3",
            R"({"conn_url":"postgres://10.0.0.3:5432/postgres","api_url":"http://10.0.0.3:8008/patroni","state":"running","role":"replica","version":"3.0.2","xlog_location":50331648,"timeline":3,"tags":{"replicatefrom":"n2"}})"),
        value("status", R"({"optime":100663296})"),
    };
}

ClusterSummary summary_of(const std::vector<etcd::KeyValue>& values) {
    return summarize(parse_view(keys, values, 9));
}

TEST(cluster_summary, lags_are_measured_from_the_leaders_position_in_etcd) {
    const auto summary = summary_of(three_members());
    ASSERT_EQ(summary.members.size(), 3U);
    EXPECT_EQ(summary.system_identifier, "7430000000000000001");
    ASSERT_NE(summary.leader(), nullptr);
    EXPECT_EQ(summary.leader()->name, "n1");
    const MemberSummary& n2 = summary.members[1];
    EXPECT_EQ(n2.state, "streaming");
    EXPECT_EQ(n2.received.lag_bytes, 0U);
    EXPECT_EQ(n2.replayed.lag_bytes, 33554432U);
    EXPECT_EQ(n2.any.lag_bytes, 0U);
}

TEST(cluster_summary, a_member_older_than_4_1_has_its_one_position_where_its_state_says) {
    auto values = three_members();
    auto summary = summary_of(values);
    EXPECT_FALSE(summary.members[2].received.lsn);
    EXPECT_EQ(summary.members[2].replayed.lag_bytes, 50331648U);
    for (auto& each : values)
        if (each.key == keys.member("n3")) each.value.replace(each.value.find("\"running\""), 9, "\"streaming\"");
    summary = summary_of(values);
    EXPECT_EQ(summary.members[2].received.lag_bytes, 50331648U);
    EXPECT_FALSE(summary.members[2].replayed.lsn);
}

TEST(cluster_summary, sync_standbys_are_named_after_the_mode) {
    auto values = three_members();
    values.push_back(value("sync", R"({"leader":"n1","sync_standby":"n2","quorum":0})"));
    EXPECT_EQ(summary_of(values).members[1].standing, Standing::sync_standby);
    EXPECT_EQ(summary_of(values).members[2].standing, Standing::replica);
    values[0].value = R"({"synchronous_mode":"quorum"})";
    EXPECT_EQ(summary_of(values).members[1].standing, Standing::quorum_standby);
    values[0].value = R"({"standby_cluster":{"host":"10.1.1.1"}})";
    EXPECT_EQ(summary_of(values).members[0].standing, Standing::standby_leader);
}

TEST(cluster_summary, a_cluster_that_begins_has_no_system_identifier_yet) {
    EXPECT_EQ(summary_of({}).system_identifier, "uninitialized");
    EXPECT_EQ(summary_of({value("initialize", "")}).system_identifier, "initializing");
}

TEST(cluster_summary, tree_follows_the_tag_replicatefrom) {
    const auto summary = summary_of(three_members());
    const auto tree = replication_tree(summary);
    ASSERT_EQ(tree.size(), 3U);
    EXPECT_EQ(tree[0].member->name, "n1");
    EXPECT_EQ(tree[1].member->name, "n2");
    EXPECT_EQ(tree[1].depth, 1);
    EXPECT_EQ(tree[2].member->name, "n3");
    EXPECT_EQ(tree[2].depth, 2);
}

TEST(cluster_summary, standbys_that_name_each_other_are_in_the_tree_once) {
    auto values = three_members();
    for (auto& each : values)
        if (each.key == keys.member("n2"))
            each.value.replace(each.value.find("\"clonefrom\":true"), 16, "\"replicatefrom\":\"n3\"");
    const auto summary = summary_of(values);
    EXPECT_EQ(replication_tree(summary).size(), 3U);
}

TEST(cluster_summary, members_that_publish_garbage_are_listed_all_the_same) {
    auto values = three_members();
    for (auto& each : values)
        if (each.key == keys.member("n3")) each.value = R"({"tags":7,"scheduled_restart":[],"xlog_location":"x")";
    const auto summary = summary_of(values);
    ASSERT_EQ(summary.members.size(), 3U);
    EXPECT_TRUE(summary.members[2].tags.empty());
    EXPECT_FALSE(summary.members[2].any.lsn);
}

}  // namespace
}  // namespace pgkeel::cluster
