#include "postgres/effective_parameters.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include <algorithm>

namespace pgkeel::postgres {
namespace {

json::object object(std::string_view text) {
    return json::parse(text).as_object();
}

/// A node with its file and the dynamic configuration, in a role.
struct Node {
    config::AgentConfig agent;
    json::object dynamic;
    Role role = Role::primary;
    std::optional<ControlData> control = {};
    std::optional<Source> source = {};
    ParameterMap overrides = {};

    Node() {
        agent.scope = "batman";
        agent.name = "pg-a";
        agent.postgresql.listen_hosts = {"127.0.0.1"};
        agent.postgresql.listen_port = "5433";
        agent.postgresql.data_dir = "/data";
        agent.postgresql.pgpass = "/home/pgpass";
        agent.postgresql.replication = {"replicator", "secret", {}};
    }
    Parameters parameters() const {
        return effective_parameters({.agent = agent,
                                     .dynamic = dynamic,
                                     .role = role,
                                     .control = control,
                                     .source = source,
                                     .overrides = overrides});
    }
};

bool mentions(const std::vector<std::string>& lines, std::string_view word) {
    return std::ranges::any_of(lines, [&](const std::string& line) { return line.find(word) != std::string::npos; });
}

TEST(effective_parameters, the_controlled_ones_have_defaults_and_go_on_the_command_line) {
    const Parameters p = Node().parameters();
    const ParameterMap expected = {
        {"cluster_name", "batman"},
        {"hot_standby", "on"},
        {"listen_addresses", "127.0.0.1"},
        {"max_connections", "100"},
        {"max_locks_per_transaction", "64"},
        {"max_prepared_transactions", "0"},
        {"max_replication_slots", "10"},
        {"max_wal_senders", "10"},
        {"max_worker_processes", "8"},
        {"port", "5433"},
        {"track_commit_timestamp", "off"},
        {"wal_level", "replica"},
        {"wal_log_hints", "on"},
    };
    EXPECT_EQ(p.command_line, expected);
    EXPECT_EQ(p.file.at("wal_keep_size"), "128MB");
    EXPECT_TRUE(p.recovery.empty());
    EXPECT_TRUE(p.warnings.empty());
}

TEST(effective_parameters, the_file_wins_over_the_dynamic_configuration_in_any_case_of_the_name) {
    Node node;
    node.dynamic =
        object(R"({"postgresql":{"parameters":{"work_mem":"4MB","DateStyle":"ISO","log_statement":"ddl"}}})");
    node.agent.postgresql.section = object(R"({"parameters":{"WORK_MEM":"8MB","datestyle":"German"}})");
    const Parameters p = node.parameters();
    EXPECT_EQ(p.file.at("work_mem"), "8MB");
    EXPECT_EQ(p.file.at("DateStyle"), "German");
    EXPECT_EQ(p.file.at("log_statement"), "ddl");
}

TEST(effective_parameters, a_controlled_one_in_the_file_is_ignored_with_a_warning) {
    Node node;
    node.agent.postgresql.section = object(R"({"parameters":{"max_connections":500,"port":1}})");
    const Parameters p = node.parameters();
    EXPECT_EQ(p.command_line.at("max_connections"), "100");
    EXPECT_EQ(p.command_line.at("port"), "5433");
    EXPECT_TRUE(mentions(p.warnings, "max_connections"));
}

TEST(effective_parameters, bad_controlled_values_fall_back_to_the_default) {
    Node node;
    node.dynamic =
        object(R"({"postgresql":{"parameters":{"max_connections":10,"wal_level":"minimal","hot_standby":"off",
        "max_wal_senders":"many","wal_log_hints":"perhaps","wal_keep_size":"1MB","track_commit_timestamp":true}}})");
    const Parameters p = node.parameters();
    EXPECT_EQ(p.command_line.at("max_connections"), "100");
    EXPECT_EQ(p.command_line.at("wal_level"), "replica");
    EXPECT_EQ(p.command_line.at("hot_standby"), "on");
    EXPECT_EQ(p.command_line.at("max_wal_senders"), "10");
    EXPECT_EQ(p.command_line.at("wal_log_hints"), "on");
    EXPECT_EQ(p.file.at("wal_keep_size"), "128MB");
    EXPECT_EQ(p.command_line.at("track_commit_timestamp"), "on");
    EXPECT_EQ(p.warnings.size(), 6U);
}

TEST(effective_parameters, good_controlled_values_of_the_dynamic_configuration_are_taken_as_text_or_number) {
    Node node;
    node.dynamic = object(
        R"({"postgresql":{"parameters":{"max_connections":"101","max_wal_senders":20,"wal_level":"hot_standby"}}})");
    const Parameters p = node.parameters();
    EXPECT_EQ(p.command_line.at("max_connections"), "101");
    EXPECT_EQ(p.command_line.at("max_wal_senders"), "20");
    EXPECT_EQ(p.command_line.at("wal_level"), "replica");
}

TEST(effective_parameters, wal_keep_segments_are_16_mb_each) {
    Node node;
    node.dynamic = object(R"({"postgresql":{"parameters":{"wal_keep_segments":100}}})");
    EXPECT_EQ(node.parameters().file.at("wal_keep_size"), "1600MB");
    EXPECT_FALSE(node.parameters().file.contains("wal_keep_segments"));
    node.dynamic = object(R"({"postgresql":{"parameters":{"wal_keep_segments":100,"wal_keep_size":"1GB"}}})");
    EXPECT_EQ(node.parameters().file.at("wal_keep_size"), "1GB");
}

TEST(effective_parameters, those_of_the_role_come_on_top) {
    Node node;
    node.dynamic = object(R"({"postgresql":{"parameters":{"work_mem":"1MB"},"parameters_replica":{"work_mem":"2MB"},
        "parameters_standby_leader":{"work_mem":"3MB","max_connections":400}}})");
    EXPECT_EQ(node.parameters().file.at("work_mem"), "1MB");
    node.role = Role::replica;
    EXPECT_EQ(node.parameters().file.at("work_mem"), "2MB");
    node.role = Role::standby_leader;
    EXPECT_EQ(node.parameters().file.at("work_mem"), "3MB");
    EXPECT_EQ(node.parameters().command_line.at("max_connections"), "100");
}

TEST(effective_parameters, a_standby_never_starts_with_less_than_its_primary_had) {
    Node node;
    node.role = Role::replica;
    node.control.emplace();
    node.control->settings = {{"max_connections", 200}, {"max_locks_per_xact", 128}, {"max_worker_processes", 4}};
    const Parameters p = node.parameters();
    EXPECT_EQ(p.command_line.at("max_connections"), "200");
    EXPECT_EQ(p.file.at("max_connections"), "200");
    EXPECT_EQ(p.command_line.at("max_locks_per_transaction"), "128");
    EXPECT_EQ(p.command_line.at("max_worker_processes"), "8") << "more than the primary had is fine";
    EXPECT_EQ(p.held_up, object(R"({"max_connections":{"old_value":"200","new_value":"100"},
                                    "max_locks_per_transaction":{"old_value":"128","new_value":"64"}})"));
    node.role = Role::primary;
    EXPECT_EQ(node.parameters().command_line.at("max_connections"), "100") << "a primary may shrink";
    EXPECT_TRUE(node.parameters().held_up.empty());
}

TEST(effective_parameters, a_standby_streams_from_its_source_and_follows_the_latest_timeline) {
    Node node;
    node.role = Role::replica;
    node.source = Source{"pg-b", "10.0.0.2", "5432", "pg_a"};
    const Parameters p = node.parameters();
    EXPECT_EQ(p.recovery.at("recovery_target_timeline"), "latest");
    EXPECT_EQ(p.recovery.at("recovery_target"), "");
    EXPECT_EQ(p.recovery.at("primary_slot_name"), "pg_a");
    const auto conninfo = parse_conninfo(p.recovery.at("primary_conninfo"));
    ASSERT_TRUE(conninfo);
    EXPECT_EQ(value_of(*conninfo, "host"), "10.0.0.2");
    EXPECT_EQ(value_of(*conninfo, "passfile"), "/home/pgpass");
    EXPECT_EQ(value_of(*conninfo, "application_name"), "pg-a");
    EXPECT_EQ(p.recovery.at("primary_conninfo").find("secret"), std::string::npos);
}

TEST(effective_parameters, a_standby_without_a_source_recovers_from_the_archive_alone) {
    Node node;
    node.role = Role::replica;
    node.dynamic = object(R"({"postgresql":{"recovery_conf":{"restore_command":"cp /a/%f %p","standby_mode":"on",
        "recovery_target_time":"2020-01-01","primary_conninfo":"host=evil","recovery_min_apply_delay":"1h"}}})");
    const Parameters p = node.parameters();
    EXPECT_EQ(p.recovery.at("restore_command"), "cp /a/%f %p");
    EXPECT_EQ(p.recovery.at("recovery_min_apply_delay"), "1h");
    EXPECT_EQ(p.recovery.at("primary_conninfo"), "");
    EXPECT_EQ(p.recovery.at("recovery_target_time"), "");
    EXPECT_FALSE(p.recovery.contains("standby_mode"));
}

TEST(effective_parameters, recovery_parameters_among_the_others_are_used_and_do_not_end_a_recovery) {
    Node node;
    node.dynamic =
        object(R"({"postgresql":{"parameters":{"restore_command":"cp /a/%f %p","recovery_target":"immediate"}}})");
    EXPECT_EQ(node.parameters().file.at("restore_command"), "cp /a/%f %p");
    node.role = Role::replica;
    const Parameters p = node.parameters();
    EXPECT_EQ(p.recovery.at("restore_command"), "cp /a/%f %p");
    EXPECT_EQ(p.recovery.at("recovery_target"), "");
    EXPECT_FALSE(p.file.contains("recovery_target"));
}

TEST(effective_parameters, a_standby_cluster_has_its_own_archive_and_delay) {
    Node node;
    node.dynamic =
        object(R"({"standby_cluster":{"host":"x","restore_command":"get %f %p","recovery_min_apply_delay":"5min"},
        "postgresql":{"recovery_conf":{"restore_command":"cp /a/%f %p"}}})");
    node.role = Role::standby_leader;
    EXPECT_EQ(node.parameters().recovery.at("restore_command"), "get %f %p");
    EXPECT_EQ(node.parameters().recovery.at("recovery_min_apply_delay"), "5min");
    node.role = Role::replica;
    EXPECT_EQ(node.parameters().recovery.at("restore_command"), "get %f %p");
    EXPECT_FALSE(node.parameters().recovery.contains("recovery_min_apply_delay"));
}

TEST(effective_parameters, a_promotion_does_not_wait_for_the_retry_interval_unless_somebody_wants_that) {
    Node node;
    EXPECT_EQ(node.parameters().file.at("wal_retrieve_retry_interval"), "100ms");
    node.dynamic = object(R"({"postgresql":{"parameters":{"wal_retrieve_retry_interval":"3s"}}})");
    EXPECT_EQ(node.parameters().file.at("wal_retrieve_retry_interval"), "3s");
}

TEST(effective_parameters, the_agent_has_the_last_word_on_the_synchronous_standbys) {
    Node node;
    node.agent.postgresql.section = object(R"({"parameters":{"synchronous_standby_names":"old"}})");
    EXPECT_EQ(node.parameters().file.at("synchronous_standby_names"), "old");
    for (const char* mode : {R"({"synchronous_mode":true})", R"({"synchronous_mode":"quorum"})"}) {
        node.dynamic = object(mode);
        node.overrides = {};
        EXPECT_EQ(node.parameters().file.at("synchronous_standby_names"), "old") << mode << ": nobody said otherwise";
        node.overrides = {{"synchronous_standby_names", "\"pg-b\""}};
        EXPECT_EQ(node.parameters().file.at("synchronous_standby_names"), "\"pg-b\"") << mode;
    }
}

TEST(effective_parameters, commands_of_the_dynamic_configuration_can_be_bound_to_what_the_file_says) {
    Node node;
    node.agent.dynamic_commands = false;
    node.role = Role::replica;
    node.dynamic = object(R"({"postgresql":{"parameters":{"archive_command":"rm -rf /","work_mem":"1MB"},
                              "recovery_conf":{"restore_command":"cp /a/%f %p"}},
                              "standby_cluster":{"archive_cleanup_command":"evil"}})");
    Parameters p = node.parameters();
    EXPECT_FALSE(p.file.contains("archive_command"));
    EXPECT_FALSE(p.recovery.contains("restore_command"));
    EXPECT_FALSE(p.recovery.contains("archive_cleanup_command"));
    EXPECT_EQ(p.file.at("work_mem"), "1MB");
    EXPECT_TRUE(mentions(p.warnings, "archive_command"));
    node.agent.bootstrap.dcs = object(R"({"postgresql":{"recovery_conf":{"restore_command":"cp /a/%f %p"}}})");
    node.agent.postgresql.section = object(R"({"parameters":{"archive_command":"cp %p /a/%f"}})");
    p = node.parameters();
    EXPECT_EQ(p.recovery.at("restore_command"), "cp /a/%f %p");
    EXPECT_EQ(p.file.at("archive_command"), "cp %p /a/%f");
}

TEST(effective_section, the_file_replaces_whole_keys_and_the_addresses_stay_its_own) {
    config::AgentConfig agent;
    agent.postgresql.section = object(R"({"recovery_conf":{"a":1},"use_slots":false})");
    const json::object section = effective_section(
        agent,
        object(R"({"postgresql":{"recovery_conf":{"b":2},"data_dir":"/evil","use_slots":true,"use_pg_rewind":true}})"));
    EXPECT_EQ(section, object(R"({"recovery_conf":{"a":1},"use_slots":true,"use_pg_rewind":true})"));
}

TEST(postgresql_conf, includes_the_base_first_and_quotes_every_value) {
    Node node;
    node.dynamic =
        object(R"({"postgresql":{"parameters":{"log_line_prefix":"it's \\ ","archive_command":"a\nfsync = off"}}})");
    const std::string text = postgresql_conf_text("postgresql.base.conf", node.agent, node.parameters());
    EXPECT_NE(text.find("include 'postgresql.base.conf'\n"), std::string::npos);
    EXPECT_NE(text.find("log_line_prefix = 'it''s \\\\ '\n"), std::string::npos) << text;
    EXPECT_NE(text.find("hba_file = '/data/pg_hba.conf'\n"), std::string::npos);
    EXPECT_EQ(text.find("\nfsync"), std::string::npos) << text;
}

TEST(postmaster_arguments, name_the_directory_the_file_and_every_controlled_parameter) {
    const Node node;
    const auto arguments = postmaster_arguments(node.agent, node.parameters());
    ASSERT_GE(arguments.size(), 3U);
    EXPECT_EQ(arguments[1], "/data");
    EXPECT_EQ(arguments[2], "--config_file=/data/postgresql.conf");
    EXPECT_NE(std::ranges::find(arguments, "--max_connections=100"), arguments.end());
}

TEST(pg_hba, the_roles_list_replaces_the_common_one_and_without_any_the_file_is_left_alone) {
    Node node;
    EXPECT_FALSE(pg_hba_text(node.agent, node.dynamic, Role::primary));
    node.dynamic = object(
        R"({"postgresql":{"pg_hba":["local all all trust","host all all all md5"],"pg_hba_replica":["local all all peer"]}})");
    EXPECT_EQ(pg_hba_text(node.agent, node.dynamic, Role::primary), "local all all trust\nhost all all all md5\n");
    EXPECT_EQ(pg_hba_text(node.agent, node.dynamic, Role::replica), "local all all peer\n");
    node.agent.postgresql.section = object(R"({"pg_hba":["local all all md5"],"pg_ident":["m a b"]})");
    EXPECT_EQ(pg_hba_text(node.agent, node.dynamic, Role::primary), "local all all md5\n");
    EXPECT_EQ(pg_ident_text(node.agent, node.dynamic, Role::replica), "m a b\n");
}

TEST(local_endpoint, is_the_loopback_when_the_server_listens_there_and_a_socket_when_asked_for) {
    Node node;
    const auto host = [&](std::vector<std::string> listen) {
        node.agent.postgresql.listen_hosts = std::move(listen);
        return local_endpoint(node.agent, {}).host;
    };
    EXPECT_EQ(host({"*"}), "localhost");
    EXPECT_EQ(host({"10.0.0.1", "127.0.0.1"}), "localhost");
    EXPECT_EQ(host({"10.0.0.1"}), "10.0.0.1");
    node.agent.postgresql.use_unix_socket = true;
    EXPECT_EQ(local_endpoint(node.agent, {}).host, "") << "libpq's own default";
    EXPECT_EQ(local_endpoint(node.agent, {{"unix_socket_directories", "@abstract, /run/pg"}}).host, "/run/pg");
    EXPECT_EQ(local_endpoint(node.agent, {{"unix_socket_directories", ""}}).host, "10.0.0.1");
    EXPECT_EQ(local_endpoint(node.agent, {{"unix_socket_directories", "/run/pg"}}, true).host, "10.0.0.1");
    EXPECT_EQ(local_endpoint(node.agent, {}).port, "5433");
}

}  // namespace
}  // namespace pgkeel::postgres
