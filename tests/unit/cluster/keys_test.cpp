#include "cluster/keys.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

const Keys keys{"/service/batman/"};

etcd::KeyValue kv(std::string key, std::string value, etcd::Revision revision = 5, etcd::LeaseId lease = 0) {
    return {std::move(key), std::move(value), revision, revision, lease};
}

ClusterView view_of(std::vector<etcd::KeyValue> values, std::vector<std::string>* problems = nullptr) {
    return parse_view(keys, values, 100, problems);
}

TEST(cluster_view, an_earlier_one_changes_nothing_in_what_is_read) {
    const std::string old = R"({"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica"})";
    const std::string now = R"({"conn_url":"postgres://10.0.0.2:5432/postgres","state":"stopped","role":"replica"})";
    const std::vector<etcd::KeyValue> before = {kv(keys.member("pg-a"), "rubbish", 5), kv(keys.member("pg-b"), old, 6),
                                                kv(keys.member("pg-c"), old, 7), kv(keys.config(), "{\"ttl\":30}", 8),
                                                kv(keys.history(), R"([[1,100,"why"]])", 9)};
    std::vector<etcd::KeyValue> after = before;
    after[1].value = now;
    after[2].lease = 5;
    after[3].value = "rubbish";
    after[4] = kv(keys.history(), R"([[1,100,"why"],[2,200,"why"]])", 10);
    const ClusterView earlier = view_of(before);
    for (const auto& values : {before, after}) {
        std::vector<std::string> problems;
        std::vector<std::string> expected_problems;
        const ClusterView view = parse_view(keys, values, 100, &problems, &earlier);
        const ClusterView expected = view_of(values, &expected_problems);
        EXPECT_EQ(problems, expected_problems);
        EXPECT_EQ(view.config, expected.config);
        EXPECT_EQ(view.history.size(), expected.history.size());
        ASSERT_EQ(view.members.size(), 3U);
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(view.members[i].state, expected.members[i].state);
            EXPECT_EQ(view.members[i].lease, expected.members[i].lease);
            EXPECT_EQ(view.members[i].port, expected.members[i].port);
        }
    }
}

TEST(cluster_view, reads_a_whole_cluster_as_patroni_writes_it) {
    std::vector<std::string> problems;
    const ClusterView view = view_of(
        {
            kv(keys.initialize(), "7350000000000000001"),
            kv(keys.config(), R"({"ttl":30,"loop_wait":10})", 11),
            {keys.leader(), "pg-a", 12, 15, 77},
            kv(keys.member("pg-b"),
               R"({"conn_url":"postgres://10.0.0.2:5433/postgres","api_url":"http://10.0.0.2:8008/patroni",)"
               R"("state":"running","role":"replica","version":"4.1.4","tags":{"nofailover":true},)"
               R"("xlog_location":50331648,"replay_lsn":50331600,"receive_lsn":50331648,)"
               R"("replication_state":"streaming","timeline":3,"pause":true})",
               13, 78),
            kv(keys.member("pg-a"),
               R"({"conn_url":"postgres://[fd00::1]:5432/postgres","api_url":"https://[fd00::1]:8008/patroni",)"
               R"("state":"running","role":"primary","version":"4.1.4","pgkeel":"0.1.0",)"
               R"("checkpoint_after_promote":false,"xlog_location":67108864,"timeline":3,"pending_restart":true})",
               14, 77),
            kv(keys.status(), R"({"optime":67108864,"slots":{"pg_b":50331648,"bad":"x"},"retain_slots":["pg_b"]})", 16),
            kv(keys.sync(), R"({"leader":"pg-a","quorum":1,"sync_standby":"pg-c,pg-b"})", 17),
            kv(keys.failover(), R"({"leader":"pg-a","member":"pg-b","scheduled_at":"2027-01-01T00:00:00+00:00"})", 18),
            kv(keys.history(),
               R"([[1,25000000,"no recovery target specified","2026-01-01T00:00:00+00:00","pg-b"],[2,30000000,"x"]])",
               19),
            kv(keys.failsafe(), R"({"pg-a":"https://[fd00::1]:8008/patroni","pg-b":"http://10.0.0.2:8008/patroni"})",
               20),
            kv("/service/batman/0/leader", "citus"),
            kv("/service/batman2/leader", "someone else"),
        },
        &problems);
    EXPECT_TRUE(problems.empty()) << problems.front();
    EXPECT_EQ(view.revision, 100);
    EXPECT_EQ(view.initialize, "7350000000000000001");
    EXPECT_EQ(view.config, R"({"ttl":30,"loop_wait":10})");
    EXPECT_EQ(view.config_mod_revision, 11);
    ASSERT_TRUE(view.failsafe);
    EXPECT_EQ(view.failsafe->at("pg-b"), "http://10.0.0.2:8008/patroni");
    EXPECT_EQ(view.failsafe_mod_revision, 20);
    EXPECT_EQ(view.sync_mod_revision, 17);
    ASSERT_TRUE(view.leader);
    EXPECT_EQ(view.leader->name, "pg-a");
    EXPECT_EQ(view.leader->create_revision, 12);
    EXPECT_EQ(view.leader->mod_revision, 15);
    EXPECT_EQ(view.leader->lease, 77);
    ASSERT_EQ(view.members.size(), 2U);
    const Member& a = view.members[0];
    EXPECT_EQ(a.name, "pg-a");
    EXPECT_EQ(a.host, "fd00::1");
    EXPECT_EQ(a.port, "5432");
    EXPECT_EQ(a.role, Role::primary);
    EXPECT_TRUE(a.runs_pgkeel);
    EXPECT_TRUE(a.checkpoint_after_promote_pending);
    EXPECT_TRUE(a.pending_restart);
    const Member& b = view.members[1];
    EXPECT_EQ(b.host, "10.0.0.2");
    EXPECT_EQ(b.port, "5433");
    EXPECT_EQ(b.role, Role::replica);
    EXPECT_FALSE(b.runs_pgkeel);
    EXPECT_FALSE(b.checkpoint_after_promote_pending);
    EXPECT_EQ(b.location, Lsn{50331648});
    EXPECT_EQ(b.replayed, Lsn{50331600});
    EXPECT_EQ(b.timeline, Timeline{3});
    EXPECT_EQ(b.replication_state, "streaming");
    EXPECT_TRUE(b.pause);
    EXPECT_TRUE(b.tags.nofailover);
    EXPECT_EQ(b.tags.failover_priority, 0);
    EXPECT_EQ(b.lease, 78);
    EXPECT_EQ(view.status.optime, Lsn{67108864});
    EXPECT_EQ(view.status.slots, (std::map<std::string, Lsn>{{"pg_b", Lsn{50331648}}}));
    EXPECT_EQ(view.status.retain_slots, std::vector<std::string>{"pg_b"});
    EXPECT_EQ(view.status.heartbeat, 0U);
    EXPECT_EQ(view.status.mod_revision, 16);
    ASSERT_TRUE(view.sync);
    EXPECT_EQ(view.sync->members, (std::vector<std::string>{"pg-b", "pg-c"}));
    EXPECT_EQ(view.sync->quorum, 1);
    EXPECT_EQ(view.sync->mod_revision, 17);
    ASSERT_TRUE(view.failover);
    EXPECT_TRUE(view.failover->is_switchover());
    EXPECT_EQ(view.failover->candidate, "pg-b");
    EXPECT_EQ(view.failover->scheduled_at, "2027-01-01T00:00:00+00:00");
    ASSERT_EQ(view.history.size(), 2U);
    EXPECT_EQ(view.history[0].new_leader, "pg-b");
    EXPECT_EQ(view.history[1].at, "");
    EXPECT_EQ(view.timeline(), Timeline{3});
}

TEST(cluster_view, of_no_keys_is_empty) {
    const ClusterView view = view_of({});
    EXPECT_FALSE(view.initialize);
    EXPECT_FALSE(view.leader);
    EXPECT_FALSE(view.sync);
    EXPECT_FALSE(view.failover);
    EXPECT_FALSE(view.has_history);
    EXPECT_EQ(view.status.mod_revision, 0);
    EXPECT_EQ(view.timeline(), Timeline{});
}

TEST(cluster_view, counts_garbage_as_absent_and_names_it) {
    for (const char* garbage : {"{", "garbage {", "[1,2", "\xff\xfe", "7e999", "{\"leader\":"}) {
        std::vector<std::string> problems;
        const ClusterView view =
            view_of({kv(keys.config(), garbage), kv(keys.status(), garbage), kv(keys.sync(), garbage),
                     kv(keys.history(), garbage), kv(keys.member("a"), garbage)},
                    &problems);
        EXPECT_EQ(problems.size(), 5U) << garbage;
        EXPECT_FALSE(view.config);
        EXPECT_EQ(view.config_mod_revision, 5) << "so that it can be repaired by compare and swap";
        EXPECT_FALSE(view.sync);
        EXPECT_FALSE(view.has_history);
        EXPECT_EQ(view.history_mod_revision, 5);
        EXPECT_EQ(view.status.mod_revision, 5);
        EXPECT_EQ(view.status.optime, Lsn{});
        ASSERT_EQ(view.members.size(), 1U);
        EXPECT_EQ(view.members[0].raw, garbage);
        EXPECT_TRUE(view.members[0].api_url.empty());
    }
}

TEST(cluster_view, reads_fields_of_the_wrong_type_as_missing) {
    const ClusterView view = view_of(
        {kv(keys.member("a"),
            R"({"conn_url":1,"api_url":[],"state":{},"role":null,"timeline":-1,"xlog_location":"12","tags":[1]})"),
         kv(keys.status(), R"({"optime":null,"slots":[],"retain_slots":{},"hb":"x","holder":3})"),
         kv(keys.sync(), R"({"leader":"a","quorum":-3,"sync_standby":null})"),
         kv(keys.failover(), R"({"leader":null,"member":7})")});
    EXPECT_EQ(view.members[0].timeline, Timeline{});
    EXPECT_EQ(view.members[0].location, Lsn{12}) << "a number in a text is read as Patroni reads it";
    EXPECT_EQ(view.status.optime, Lsn{});
    EXPECT_TRUE(view.status.slots.empty());
    EXPECT_EQ(view.sync->leader, "a");
    EXPECT_EQ(view.sync->quorum, 0);
    EXPECT_TRUE(view.sync->members.empty());
    EXPECT_FALSE(view.failover) << "a request that names nobody is none";
}

TEST(cluster_view, knows_a_sync_key_that_names_nobody_from_one_that_cannot_be_read) {
    const ClusterView view = view_of({kv(keys.sync(), R"({"leader":null,"quorum":0,"sync_standby":null})", 9)});
    ASSERT_TRUE(view.sync);
    EXPECT_TRUE(view.sync->leader.empty());
    EXPECT_EQ(view.sync->mod_revision, 9);
}

TEST(cluster_view, reads_failover_requests_from_before_json) {
    const auto both = view_of({kv(keys.failover(), "pg-a: pg-b")}).failover;
    ASSERT_TRUE(both);
    EXPECT_EQ(both->leader, "pg-a");
    EXPECT_EQ(both->candidate, "pg-b");
    EXPECT_EQ(view_of({kv(keys.failover(), ":pg-b")}).failover->candidate, "pg-b");
    EXPECT_FALSE(view_of({kv(keys.failover(), ":pg-b")}).failover->is_switchover());
    EXPECT_FALSE(view_of({kv(keys.failover(), "x\xc5\xdf\x9d")}).failover) << "not UTF-8";
    for (const char* cleared : {"{}", "", "null"}) {
        std::vector<std::string> problems;
        EXPECT_FALSE(view_of({kv(keys.failover(), cleared)}, &problems).failover) << cleared;
        EXPECT_TRUE(problems.empty()) << cleared;
    }
}

TEST(cluster_view, takes_the_leaders_position_from_where_it_was_kept_before) {
    EXPECT_EQ(view_of({kv(keys.legacy_optime(), "4711")}).status.optime, Lsn{4711});
    EXPECT_EQ(view_of({kv(keys.legacy_optime(), "4711"), kv(keys.status(), R"({"optime":9})")}).status.optime, Lsn{9});
    EXPECT_EQ(view_of({kv(keys.status(), "4711")}).status.optime, Lsn{4711});
    EXPECT_EQ(view_of({kv(keys.status(), R"({"optime":5,"slots":"{\"a\":7}"})")}).status.slots.at("a"), Lsn{7});
}

TEST(cluster_view, reads_a_member_from_before_json) {
    const Member member =
        parse_member("a", kv("x", "postgres://u@10.0.0.1:5433/postgres?application_name=http://10.0.0.1:8008/patroni"));
    EXPECT_EQ(member.host, "10.0.0.1");
    EXPECT_EQ(member.port, "5433");
    EXPECT_EQ(member.api_url, "http://10.0.0.1:8008/patroni");
}

TEST(tags, a_truth_value_has_precedence_over_a_priority) {
    const auto tags = [](const char* json) {
        return parse_member("a", kv("x", std::string(R"({"tags":)") + json + "}")).tags;
    };
    EXPECT_TRUE(tags(R"({"failover_priority":0})").nofailover);
    EXPECT_FALSE(tags(R"({"failover_priority":0,"nofailover":false})").nofailover);
    EXPECT_TRUE(tags(R"({"failover_priority":7,"nofailover":true})").nofailover);
    EXPECT_EQ(tags(R"({"failover_priority":7,"nofailover":true})").failover_priority, 0);
    EXPECT_EQ(tags(R"({"failover_priority":"7"})").failover_priority, 7);
    EXPECT_EQ(tags(R"({"failover_priority":"seven"})").failover_priority, 1);
    EXPECT_TRUE(tags(R"({"sync_priority":-1})").nosync);
    EXPECT_EQ(tags(R"({"sync_priority":3})").sync_priority, 3);
    EXPECT_TRUE(tags(R"({"nostream":"yes","noloadbalance":1})").nostream);
    EXPECT_TRUE(tags(R"({"nostream":"yes","noloadbalance":1})").noloadbalance);
    EXPECT_EQ(tags(R"({"replicatefrom":"b"})").replicatefrom, "b");
    EXPECT_EQ(tags("{}").failover_priority, 1);
}

TEST(cluster_json, is_compact_and_typed_as_patroni_writes_it) {
    StatusKey status;
    status.optime = Lsn{67108864};
    EXPECT_EQ(write_status(status), R"({"optime":67108864})");
    status.slots = {{"b", Lsn{7}}};
    status.retain_slots = {"b", "c"};
    status.heartbeat = 3;
    status.holder = "pg-a";
    status.ttl_seconds = 5;
    status.released_epoch = 12;
    EXPECT_EQ(
        write_status(status),
        R"({"optime":67108864,"slots":{"b":7},"retain_slots":["b","c"],"hb":3,"holder":"pg-a","ttl":5,"released":12})");
    EXPECT_EQ(write_failover({}), "{}");
    EXPECT_EQ(write_failover({.leader = "a", .candidate = "b", .scheduled_at = "2027-01-01T00:00:00+00:00"}),
              R"({"leader":"a","member":"b","scheduled_at":"2027-01-01T00:00:00+00:00"})");
    EXPECT_EQ(write_history({}), "[]");
    EXPECT_EQ(write_history({{Timeline{1}, Lsn{25}, "no recovery target specified", "2026-01-01T00:00:00+00:00", "b"},
                             {Timeline{2}, Lsn{30}, "x", "", ""}}),
              R"([[1,25,"no recovery target specified","2026-01-01T00:00:00+00:00","b"],[2,30,"x"]])");
    EXPECT_EQ(write_sync({"a", {"c", "b"}, 1, 0}), R"({"leader":"a","quorum":1,"sync_standby":"b,c"})");
    EXPECT_EQ(write_sync({}), R"({"leader":null,"quorum":0,"sync_standby":null})");
    EXPECT_EQ(
        write_member({.conn_url = "postgres://h:1/postgres",
                      .api_url = "http://h:2/patroni",
                      .state = "running",
                      .role = "replica",
                      .version = "4.1.4",
                      .pgkeel = "0.1.0",
                      .unix_socket = "/run/pg",
                      .unix_socket_id = "boot:1:2",
                      .tags_json = R"({"nofailover":true})",
                      .with_location = true,
                      .location = Lsn{9},
                      .replayed = Lsn{8},
                      .timeline = Timeline{2}}),
        R"({"conn_url":"postgres://h:1/postgres","api_url":"http://h:2/patroni","state":"running","role":"replica",)"
        R"("version":"4.1.4","pgkeel":"0.1.0","unix_socket":"/run/pg","unix_socket_id":"boot:1:2","tags":{"nofailover":true},"xlog_location":9,"replay_lsn":8,"timeline":2})");
}

TEST(cluster_json, comes_back_as_it_was_written) {
    StatusKey status;
    status.optime = Lsn{UINT64_MAX};
    status.slots = {{"sl\"ot", Lsn{7}}};
    status.heartbeat = 1ULL << 60;
    status.holder = "näme";
    status.ttl_seconds = 30;
    status.released_epoch = 12;
    status.unfenced = {"pg-c", "pg-d"};
    const StatusKey back = view_of({kv(keys.status(), write_status(status))}).status;
    EXPECT_EQ(back.optime, status.optime);
    EXPECT_EQ(back.slots, status.slots);
    EXPECT_EQ(back.heartbeat, status.heartbeat);
    EXPECT_EQ(back.holder, status.holder);
    EXPECT_EQ(back.ttl_seconds, 30);
    EXPECT_EQ(back.released_epoch, 12);
    EXPECT_EQ(back.unfenced, (std::vector<std::string>{"pg-c", "pg-d"}));
}

}  // namespace
}  // namespace pgkeel::cluster
