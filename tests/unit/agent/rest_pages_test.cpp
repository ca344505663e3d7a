#include "agent/rest/cluster.hpp"
#include "agent/rest/json_text.hpp"
#include "agent/rest/metrics.hpp"
#include "agent/rest/status.hpp"
#include "cluster/keys.hpp"

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include <regex>
#include <set>
#include <sstream>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

NodeFacts facts() {
    NodeFacts facts;
    facts.name = "pg-a";
    facts.scope = "demo";
    facts.patroni_version = "4.1.4";
    facts.state = "running";
    facts.role = Role::primary;
    facts.holds_lease = facts.has_view = facts.alive = true;
    facts.cluster_unlocked = false;
    facts.lease_seconds_left = 21.5;
    facts.store_last_seen_s = 1795226584;
    facts.server.postmaster = Postmaster::running;
    facts.server.accepts_connections = true;
    facts.server.version_number = 150020;
    facts.server.postmaster_start_time = "2026-11-21 02:03:04.500000+00:00";
    facts.server.written = Lsn{83886408};
    facts.server.timeline = Timeline{3};
    facts.server.system_identifier = "7000000000000000001";
    return facts;
}

NodeFacts standby_facts() {
    NodeFacts standby = facts();
    standby.role = Role::replica;
    standby.server.in_recovery = true;
    standby.server.received = Lsn{300};
    standby.server.replayed = Lsn{200};
    standby.server.latest_end = Lsn{310};
    standby.leader_position = Lsn{310};
    standby.server.replication_state = "streaming";
    return standby;
}

TEST(json_text, looks_as_patronis_does) {
    const json::value value = json::parse(R"({"a":[1,2.5,10.0,"x\"y"],"b":{"c":null,"d":true},"e":1.1e300})");
    EXPECT_EQ(spaced_json(value), R"({"a": [1, 2.5, 10.0, "x\"y"], "b": {"c": null, "d": true}, "e": 1.1e+300})");
    EXPECT_EQ(compact_json(value), R"({"a":[1,2.5,10.0,"x\"y"],"b":{"c":null,"d":true},"e":1.1e+300})");
    EXPECT_EQ(json::parse(compact_json(value)), value);
    EXPECT_EQ(spaced_json(json::object{}), "{}");
}

TEST(status, of_a_primary_has_patronis_names_and_order) {
    NodeFacts primary = facts();
    primary.server.replication.push_back(
        {1, "replicator", "pg-b", "10.0.0.2", "streaming", "async", 0, {}, {}, {}, {}});
    primary.published_tags = {{"nofailover", true}};
    primary.scheduled_restart = json::object{{"schedule", "2027-01-01T00:00:00+00:00"}, {"postmaster_start_time", "x"}};
    primary.server.pending_restart = true;
    primary.server.pending_restart_reason_json = R"({"max_connections":{"old_value":"100","new_value":"101"}})";
    primary.paused = true;
    const std::string expected =
        R"({"state": "running", "postmaster_start_time": "2026-11-21 02:03:04.500000+00:00", "role": "primary", )"
        R"("server_version": 150020, "xlog": {"location": 83886408}, "timeline": 3, "replication": [{"usename": "replicator", )"
        R"("application_name": "pg-b", "client_addr": "10.0.0.2", "state": "streaming", "sync_state": "async", "sync_priority": 0}], )"
        R"("pause": true, "dcs_last_seen": 1795226584, "tags": {"nofailover": true}, )"
        R"("database_system_identifier": "7000000000000000001", "pending_restart": true, )"
        R"("pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "101"}}, )"
        R"("patroni": {"version": "4.1.4", "scope": "demo", "name": "pg-a"}, )"
        R"("scheduled_restart": {"schedule": "2027-01-01T00:00:00+00:00"}, )";
    const std::string text = spaced_json(status_json(primary));
    EXPECT_EQ(text.substr(0, expected.size()), expected);
}

TEST(status, of_a_standby_and_of_a_server_that_does_not_answer) {
    NodeFacts standby = standby_facts();
    standby.sync_standby = true;
    json::object status = status_json(standby);
    EXPECT_EQ(spaced_json(status.at("xlog")),
              R"({"received_location": 300, "replayed_location": 200, "replayed_timestamp": null, "paused": false})");
    EXPECT_EQ(status.at("replication_state").as_string(), "streaming");
    EXPECT_TRUE(status.at("sync_standby").as_bool());
    EXPECT_FALSE(status.contains("cluster_unlocked"));

    NodeFacts silent = facts();
    silent.server.accepts_connections = false;
    silent.state = "starting";
    silent.cluster_unlocked = true;
    status = status_json(silent);
    EXPECT_FALSE(status.contains("xlog"));
    EXPECT_FALSE(status.contains("timeline"));
    EXPECT_EQ(status.at("role").as_string(), "primary");
    EXPECT_TRUE(status.at("cluster_unlocked").as_bool());
}

TEST(metrics, have_every_name_of_patronis_with_help_type_and_labels) {
    const std::string text = metrics_text(facts(), {});
    for (const char* name : {"version",
                             "postgres_running",
                             "postmaster_start_time",
                             "primary",
                             "xlog_location",
                             "standby_leader",
                             "replica",
                             "sync_standby",
                             "quorum_standby",
                             "xlog_received_location",
                             "xlog_replayed_location",
                             "xlog_replayed_timestamp",
                             "xlog_paused",
                             "postgres_streaming",
                             "postgres_in_archive_recovery",
                             "postgres_server_version",
                             "cluster_unlocked",
                             "failsafe_mode_is_active",
                             "failsafe_mode_enabled",
                             "failsafe_member",
                             "postgres_timeline",
                             "dcs_last_seen",
                             "pending_restart",
                             "is_paused",
                             "postgres_state",
                             "failover_priority",
                             "master"}) {
        const std::string full = std::string("patroni_") + name;
        const bool counter = full == "patroni_xlog_location" || full == "patroni_xlog_received_location" ||
                             full == "patroni_xlog_replayed_location";
        EXPECT_NE(text.find("# HELP " + full + " "), std::string::npos) << full;
        EXPECT_NE(text.find("# TYPE " + full + (counter ? " counter\n" : " gauge\n") + full +
                            "{scope=\"demo\",name=\"pg-a\"} "),
                  std::string::npos)
            << full;
    }
}

/// The value of a sample.
std::string sample(const std::string& text, const std::string& name) {
    const auto at = text.find("\n" + name + "{");
    if (at == std::string::npos) return "missing";
    const auto begin = text.find("} ", at) + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
}

TEST(metrics, tell_what_is) {
    std::string text = metrics_text(facts(), {.answered = 7, .refused = 2, .failed = 1});
    EXPECT_EQ(sample(text, "patroni_version"), "040104");
    EXPECT_EQ(sample(text, "patroni_primary"), "1");
    EXPECT_EQ(sample(text, "patroni_xlog_location"), "83886408");
    EXPECT_EQ(sample(text, "patroni_xlog_replayed_location"), "0");
    EXPECT_EQ(sample(text, "patroni_postmaster_start_time"), "1795226584.500000");
    EXPECT_EQ(sample(text, "patroni_postgres_state"), "5");
    EXPECT_EQ(sample(text, "patroni_postgres_timeline"), "3");
    EXPECT_EQ(sample(text, "pgkeel_lease_seconds_left"), "21.500");
    EXPECT_EQ(sample(text, "pgkeel_rest_refused_total"), "2");
    text = metrics_text(standby_facts(), {});
    EXPECT_EQ(sample(text, "patroni_primary"), "0");
    EXPECT_EQ(sample(text, "patroni_replica"), "1");
    EXPECT_EQ(sample(text, "patroni_xlog_location"), "0");
    EXPECT_EQ(sample(text, "patroni_xlog_received_location"), "300");
    EXPECT_EQ(sample(text, "patroni_postgres_streaming"), "1");
    EXPECT_EQ(sample(text, "patroni_xlog_replayed_timestamp"), "0");
    EXPECT_EQ(sample(text, "pgkeel_replay_lag_bytes"), "110");
    NodeFacts odd = facts();
    odd.state = "something else";
    EXPECT_EQ(sample(metrics_text(odd, {}), "patroni_postgres_state"), "-1");
}

TEST(metrics, every_line_is_of_the_text_format_whatever_the_names_hold) {
    NodeFacts odd = facts();
    odd.scope = "a\"b\\c\nd";
    const std::string text = metrics_text(odd, {});
    EXPECT_NE(text.find(R"(scope="a\"b\\c\nd",)"), std::string::npos);
    EXPECT_EQ(text.back(), '\n');
    const std::regex line(
        R"((# (HELP [a-z_]+ .+|TYPE [a-z_]+ (gauge|counter))|[a-z_]+\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\} -?[0-9.]+))");
    std::istringstream lines(text);
    std::set<std::string> types;
    for (std::string one; std::getline(lines, one);) {
        EXPECT_TRUE(std::regex_match(one, line)) << one;
        if (one.starts_with("# TYPE")) EXPECT_TRUE(types.insert(one).second) << one;
    }
    EXPECT_GT(types.size(), 30U);
}

TEST(cluster, shows_members_by_their_keys) {
    const cluster::Keys keys{"/s/"};
    const ClusterView view = cluster::parse_view(
        keys,
        {{"/s/leader", "pg-a", 5, 5, 1},
         {"/s/members/pg-a",
          R"({"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","role":"primary","timeline":2,"xlog_location":1000})",
          2, 2, 1},
         {"/s/members/pg-b",
          R"({"conn_url":"postgres://10.0.0.2:5433/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica","replication_state":"streaming","timeline":2,"xlog_location":900,"receive_lsn":900,"replay_lsn":700,"tags":{"x":"1"},"pending_restart":true})",
          3, 3, 1},
         {"/s/members/pg-c",
          R"({"conn_url":"postgres://10.0.0.3/postgres","api_url":"http://10.0.0.3:8008/patroni","state":"stopped","role":"replica"})",
          4, 4, 1},
         {"/s/status", R"({"optime":1000})", 6, 6, 0},
         {"/s/sync", R"({"leader":"pg-a","sync_standby":"pg-b"})", 7, 7, 0},
         {"/s/history", R"([[1,500,"no recovery target specified","2026-11-21T00:00:00Z","pg-a"]])", 8, 8, 0}},
        9);
    ClusterSettings settings;
    settings.synchronous_mode = SynchronousMode::on;
    settings.pause = true;
    const json::object out = cluster_json(view, settings, "demo");
    EXPECT_EQ(
        spaced_json(out.at("members").at(0)),
        R"({"name": "pg-a", "role": "leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", )"
        R"("port": 5432, "timeline": 2})");
    EXPECT_EQ(
        spaced_json(out.at("members").at(1)),
        R"({"name": "pg-b", "role": "sync_standby", "state": "streaming", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", )"
        R"("port": 5433, "timeline": 2, "pending_restart": true, "tags": {"x": "1"}, "receive_lsn": "0/384", "receive_lag": 100, )"
        R"("replay_lsn": "0/2BC", "replay_lag": 300, "lsn": "0/384", "lag": 100})");
    EXPECT_EQ(out.at("members").at(2).at("lag").as_string(), "unknown");
    EXPECT_EQ(out.at("members").at(2).at("role").as_string(), "replica");
    EXPECT_TRUE(out.at("pause").as_bool());
    EXPECT_EQ(out.at("scope").as_string(), "demo");
    EXPECT_EQ(spaced_json(history_json(view)),
              R"([[1, 500, "no recovery target specified", "2026-11-21T00:00:00Z", "pg-a"]])");
    settings.synchronous_mode = SynchronousMode::quorum;
    EXPECT_EQ(cluster_json(view, settings, "demo").at("members").at(1).at("role").as_string(), "quorum_standby");
}

}  // namespace
}  // namespace pgkeel::agent::rest
