#include "postgres/replica_methods.hpp"

#include "postgres/bootstrap.hpp"
#include "postgres/rewind.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pgkeel::postgres {
namespace {

json::object object(std::string_view text) {
    return json::parse(text).as_object();
}

std::vector<ReplicaMethod> methods(std::string_view section, std::vector<std::string>* warnings = nullptr,
                                   std::string_view dynamic = "{}", bool standby_cluster = false) {
    config::AgentConfig agent;
    agent.postgresql.section = object(section);
    std::vector<std::string> own;
    return replica_methods(agent, object(dynamic), standby_cluster, warnings != nullptr ? *warnings : own);
}

using Words = std::vector<std::string>;

TEST(replica_methods, a_base_backup_is_the_default) {
    const auto list = methods("{}");
    ASSERT_EQ(list.size(), 1U);
    EXPECT_TRUE(list[0].basebackup);
    EXPECT_FALSE(can_clone_without_leader(list));
}

TEST(replica_methods, options_of_the_base_backup_that_we_set_are_dropped_with_a_warning) {
    Words warnings;
    const auto list =
        methods(R"({"basebackup":[{"checkpoint":"fast"},"verbose",{"pgdata":"/evil"},"--host=evil",{"max-rate":"100M"},
                                  {"compress":"gzip"},7]})",
                &warnings);
    EXPECT_EQ(list[0].arguments, (Words{"--checkpoint=fast", "--verbose", "--max-rate=100M"}));
    EXPECT_EQ(warnings.size(), 4U);
    EXPECT_EQ(methods(R"({"basebackup":{"checkpoint":"fast","compress":"server-zstd","progress":null}})")[0].arguments,
              (Words{"--checkpoint=fast", "--compress=server-zstd", "--progress"}));
}

TEST(replica_methods, scripts_come_in_order_with_their_keys_as_arguments) {
    const auto list = methods(R"({"create_replica_methods":["pgbackrest","basebackup"],
        "pgbackrest":{"command":"/usr/bin/pgbackrest --stanza=x restore","keep_data":true,"no_params":true,"delta":"yes"},
        "basebackup":{"checkpoint":"fast"}})");
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].command, "/usr/bin/pgbackrest --stanza=x restore");
    EXPECT_TRUE(list[0].keep_data && list[0].no_params && !list[0].no_leader);
    EXPECT_EQ(list[0].arguments, (Words{"--delta=yes"}));
    EXPECT_TRUE(list[1].basebackup);
}

TEST(replica_methods, a_method_may_do_without_a_leader) {
    const auto list = methods(R"({"create_replica_methods":["restore"],"restore":{"no_leader":1,"role":"evil"}})");
    EXPECT_TRUE(can_clone_without_leader(list));
    EXPECT_EQ(list[0].command, "restore") << "its name is its command";
    EXPECT_EQ(list[0].arguments, (Words{"--no_leader=1"}));
}

TEST(replica_methods, the_leader_of_a_standby_cluster_has_its_own) {
    const std::string_view dynamic = R"({"standby_cluster":{"host":"x","create_replica_methods":["wal_g"]}})";
    EXPECT_EQ(methods(R"({"create_replica_methods":["a"]})", nullptr, dynamic, true)[0].name, "wal_g");
    EXPECT_EQ(methods(R"({"create_replica_methods":["a"]})", nullptr, dynamic, false)[0].name, "a");
    EXPECT_TRUE(methods(R"({"create_replica_methods":["a"]})", nullptr, R"({"standby_cluster":{"host":"x"}})", true)[0]
                    .basebackup);
}

config::AgentConfig agent() {
    config::AgentConfig made;
    made.scope = "batman";
    made.postgresql.data_dir = "/data";
    made.postgresql.superuser = {"postgres", "hunter2", {}};
    made.postgresql.rewind = {"rewinder", "hunter2", {{"sslmode", "require"}}};
    return made;
}

TEST(bootstrap, initdb_gets_the_password_through_a_file) {
    config::AgentConfig made = agent();
    made.bootstrap.initdb = {"--encoding=UTF8", "--data-checksums"};
    EXPECT_EQ(initdb_arguments(made, "/tmp/x"), (Words{"--pgdata=/data", "--encoding=UTF8", "--data-checksums",
                                                       "--username=postgres", "--pwfile=/tmp/x"}));
}

TEST(bootstrap, a_custom_method_gets_the_keys_that_are_not_ours) {
    const config::Method method{"restore",
                                object(R"({"command":"x","keep_existing_recovery_conf":true,"recovery_conf":{},
                                                      "test-argument":"test-value","flag":true})")};
    EXPECT_EQ(custom_arguments(method, agent()),
              (Words{"--scope=batman", "--datadir=/data", "--test-argument=test-value", "--flag=True"}));
    EXPECT_EQ(custom_arguments({"r", object(R"({"command":"x","no_params":true,"a":1})")}, agent()), (Words{"--a=1"}));
}

TEST(bootstrap, the_temporary_hba_lets_only_this_host_in) {
    const std::string text = bootstrap_hba_text(agent());
    EXPECT_NE(text.find("local all \"postgres\" trust"), std::string::npos);
    EXPECT_EQ(text.find("0.0.0.0"), std::string::npos);
    EXPECT_EQ(text.find(" all all "), std::string::npos) << text;
}

TEST(bootstrap, names_and_passwords_cannot_leave_their_quotes) {
    EXPECT_EQ(role_statement(false, "a\"b", "x'y\\", "REPLICATION"),
              R"(CREATE ROLE "a""b" WITH LOGIN REPLICATION PASSWORD E'x''y\\')");
    EXPECT_EQ(role_statement(true, "a", "", ""), R"(ALTER ROLE "a" WITH LOGIN)");
}

TEST(password_verifier, is_what_the_server_would_store) {
    const auto scram = password_verifier("u", "hunter2", "scram-sha-256");
    ASSERT_TRUE(scram) << scram.error().line();
    EXPECT_TRUE(scram->starts_with("SCRAM-SHA-256$4096:")) << *scram;
    // md5 of "hunter2u" (PostgreSQL, pg_authid.rolpassword).
    EXPECT_EQ(*password_verifier("u", "hunter2", "md5"), "md5c15c3ac23b8674f321faec8520e8a35b");
    const auto bad = password_verifier("u", "hunter2", "plain");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().line().find("hunter2"), std::string::npos);
}

TEST(rewind_arguments, name_the_source_without_its_password) {
    config::AgentConfig made = agent();
    made.postgresql.section = object(R"({"rewind":["debug",{"source-server":"evil"}]})");
    Words warnings;
    const RewindRequest request{.leader = {"db1", "5432"}, .dynamic = {}, .restore_command = "cp /a/%f %p"};
    EXPECT_EQ(rewind_arguments(made, request, "/etc/pg/postgresql.conf", warnings),
              (Words{"--restore-target-wal", "-D", "/data", "--source-server",
                     "dbname=postgres user=rewinder host=db1 port=5432 sslmode=require target_session_attrs=read-write",
                     "--debug"}));
    EXPECT_EQ(warnings.size(), 1U);
    made.postgresql.config_dir = "/etc/pg";
    EXPECT_EQ(rewind_arguments(made, request, "/etc/pg/postgresql.conf", warnings)[1],
              "--config-file=/etc/pg/postgresql.conf");
}

}  // namespace
}  // namespace pgkeel::postgres
