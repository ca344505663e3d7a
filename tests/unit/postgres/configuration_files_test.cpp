#include "postgres/configuration_files.hpp"

#include "temporary_directory.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
namespace {

struct Node {
    TemporaryDirectory here;
    config::AgentConfig agent;
    json::object dynamic;

    Node() {
        agent.scope = "batman";
        agent.name = "pg-a";
        agent.postgresql.listen_hosts = {"127.0.0.1"};
        agent.postgresql.data_dir = here / "data";
        agent.postgresql.pgpass = here / "pgpass";
        make_cluster(here / "data");
        put(here / "data/postgresql.conf", "shared_buffers = 1MB\n");
        put(here / "data/pg_hba.conf", "local all all peer\n");
        put(here / "data/pg_ident.conf", "# none\n");
    }
    ConfigurationFiles files() { return {agent, Account{}}; }
    Result<ConfigurationFiles::Written> write(Role role = Role::primary) {
        return files().write(effective_parameters({.agent = agent, .dynamic = dynamic, .role = role}), dynamic, role);
    }
};

TEST(configuration_files, the_servers_own_file_becomes_the_base_of_ours) {
    Node node;
    const auto written = node.write();
    ASSERT_TRUE(written) << written.error().line();
    EXPECT_TRUE(written->postgresql_conf);
    EXPECT_EQ(text_of(node.here / "data/postgresql.base.conf"), "shared_buffers = 1MB\n");
    EXPECT_NE(text_of(node.here / "data/postgresql.conf").find("include 'postgresql.base.conf'"), std::string::npos);
    EXPECT_EQ(mode_of(node.here / "data/postgresql.conf"), 0600U);
    EXPECT_EQ(text_of(node.here / "data/pg_hba.conf"), "local all all peer\n") << "nobody asked for another";
}

TEST(configuration_files, nothing_is_written_when_nothing_changed) {
    Node node;
    node.dynamic = json::parse(R"({"postgresql":{"pg_hba":["local all all trust"],"pg_ident":["m a b"]}})").as_object();
    const auto first = node.write();
    ASSERT_TRUE(first && first->postgresql_conf && first->pg_hba && first->pg_ident);
    const auto stamp = fs::last_write_time(node.here / "data/postgresql.conf");
    const auto second = node.write();
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->any());
    EXPECT_EQ(fs::last_write_time(node.here / "data/postgresql.conf"), stamp);
    EXPECT_EQ(text_of(node.here / "data/pg_hba.conf"), "local all all trust\n");
}

TEST(configuration_files, a_lost_base_does_not_make_our_file_include_itself) {
    Node node;
    ASSERT_TRUE(node.write());
    fs::remove(node.here / "data/postgresql.base.conf");
    ASSERT_TRUE(node.write());
    EXPECT_EQ(text_of(node.here / "data/postgresql.base.conf"), "");
}

TEST(configuration_files, custom_conf_takes_the_place_of_the_base) {
    Node node;
    node.agent.postgresql.section = json::parse(R"({"custom_conf":"/etc/pg/custom.conf"})").as_object();
    ASSERT_TRUE(node.write());
    EXPECT_FALSE(exists(node.here / "data/postgresql.base.conf"));
    EXPECT_NE(text_of(node.here / "data/postgresql.conf").find("include '/etc/pg/custom.conf'"), std::string::npos);
}

TEST(configuration_files, a_configuration_directory_of_its_own_is_used) {
    Node node;
    node.agent.postgresql.config_dir = node.here / "etc";
    put(node.here / "etc/postgresql.conf", "# own\n");
    node.dynamic = json::parse(R"({"postgresql":{"pg_hba":["local all all trust"]}})").as_object();
    ASSERT_TRUE(node.write());
    EXPECT_EQ(text_of(node.here / "etc/postgresql.base.conf"), "# own\n");
    EXPECT_EQ(text_of(node.here / "etc/pg_hba.conf"), "local all all trust\n");
    EXPECT_EQ(text_of(node.here / "data/pg_hba.conf"), "local all all peer\n");
}

TEST(configuration_files, an_hba_file_elsewhere_is_not_ours_to_write) {
    Node node;
    node.dynamic =
        json::parse(R"({"postgresql":{"pg_hba":["local all all trust"],"parameters":{"hba_file":"/etc/pg/hba"}}})")
            .as_object();
    ASSERT_TRUE(node.write());
    EXPECT_EQ(text_of(node.here / "data/pg_hba.conf"), "local all all peer\n");
    EXPECT_NE(text_of(node.here / "data/postgresql.conf").find("hba_file = '/etc/pg/hba'"), std::string::npos);
}

TEST(configuration_files, a_linked_file_stays_a_link) {
    Node node;
    put(node.here / "etc/pg_hba.conf", "old\n");
    fs::remove(node.here / "data/pg_hba.conf");
    fs::create_symlink(node.here / "etc/pg_hba.conf", node.here / "data/pg_hba.conf");
    node.dynamic = json::parse(R"({"postgresql":{"pg_hba":["new"]}})").as_object();
    ASSERT_TRUE(node.write());
    EXPECT_TRUE(fs::is_symlink(node.here / "data/pg_hba.conf"));
    EXPECT_EQ(text_of(node.here / "etc/pg_hba.conf"), "new\n");
}

TEST(configuration_files, recovery_settings_leave_auto_conf_and_the_rest_stays) {
    Node node;
    put(node.here / "data/postgresql.auto.conf",
        "# Do not edit\nprimary_conninfo = 'host=old'\n  Restore_Command = 'x'\nwork_mem = "
        "'8MB'\nrecovery_target_time='y'\n");
    ASSERT_TRUE(node.write());
    EXPECT_EQ(text_of(node.here / "data/postgresql.auto.conf"), "# Do not edit\nwork_mem = '8MB'\n");
}

TEST(configuration_files, exactly_the_signal_asked_for_is_there) {
    Node node;
    put(node.here / "data/recovery.conf", "");
    ConfigurationFiles files = node.files();
    EXPECT_EQ(files.signal(), Signal::none);
    ASSERT_TRUE(files.set_signal(Signal::recovery));
    EXPECT_EQ(files.signal(), Signal::recovery);
    ASSERT_TRUE(files.set_signal(Signal::standby));
    EXPECT_EQ(files.signal(), Signal::standby);
    EXPECT_FALSE(exists(node.here / "data/recovery.signal"));
    EXPECT_FALSE(exists(node.here / "data/recovery.conf"));
    ASSERT_TRUE(files.set_signal(Signal::none));
    EXPECT_EQ(files.signal(), Signal::none);
}

TEST(configuration_files, copies_bring_back_what_a_base_backup_left_out) {
    Node node;
    node.agent.postgresql.config_dir = node.here / "etc";
    put(node.here / "etc/postgresql.conf", "# own\n");
    put(node.here / "etc/pg_hba.conf", "hba\n");
    ASSERT_TRUE(node.write());
    ASSERT_TRUE(node.files().save_copies());
    EXPECT_EQ(text_of(node.here / "data/pg_hba.conf.backup"), "hba\n");
    fs::remove_all(node.here / "etc");
    fs::create_directory(node.here / "etc");
    ASSERT_TRUE(node.files().restore_copies());
    EXPECT_EQ(text_of(node.here / "etc/pg_hba.conf"), "hba\n");
    EXPECT_EQ(text_of(node.here / "etc/postgresql.base.conf"), "# own\n");
    EXPECT_TRUE(exists(node.here / "etc/pg_ident.conf")) << "empty when there is no copy";
    put(node.here / "etc/pg_hba.conf", "changed\n");
    ASSERT_TRUE(node.files().restore_copies());
    EXPECT_EQ(text_of(node.here / "etc/pg_hba.conf"), "changed\n") << "what is there is not touched";
}

TEST(pgpass, is_private_even_when_a_readable_file_was_there) {
    Node node;
    put(node.here / "pgpass", "old\n");
    fs::permissions(node.here / "pgpass", fs::perms(0644));
    const auto written = node.files().write_pgpass("old\n");
    ASSERT_TRUE(written) << written.error().line();
    EXPECT_TRUE(*written) << "same text, too open";
    EXPECT_EQ(mode_of(node.here / "pgpass"), 0600U);
    EXPECT_FALSE(*node.files().write_pgpass("old\n"));
}

TEST(pgpass, an_unset_path_is_an_error_without_the_password) {
    Node node;
    node.agent.postgresql.pgpass = "";
    const auto written = node.files().write_pgpass("h:1:*:u:hunter2\n");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().line().find("hunter2"), std::string::npos);
}

TEST(write_file, leaves_no_temporary_file_when_it_fails) {
    const TemporaryDirectory here;
    fs::create_directory(here / "target");
    put(here / "target/x", "");
    EXPECT_FALSE(write_file(here / "target", "text", 0600));
    EXPECT_EQ(std::distance(fs::directory_iterator(here.path), {}), 1);
}

TEST(read_file, says_what_is_missing_too_large_or_no_file) {
    const TemporaryDirectory here;
    put(here / "f", "12345");
    EXPECT_EQ(*read_file(here / "f", 5), "12345");
    EXPECT_EQ(read_file(here / "f", 4).error().code, Errc::io_error);
    EXPECT_EQ(read_file(here / "none").error().code, Errc::not_found);
    EXPECT_EQ(read_file(here.path).error().code, Errc::io_error);
}

TEST(secret_file, is_private_and_gone_with_its_owner) {
    const TemporaryDirectory here;
    std::string path;
    {
        auto secret = SecretFile::create(here.path, "hunter2\n");
        ASSERT_TRUE(secret) << secret.error().line();
        const SecretFile moved = std::move(*secret);
        path = moved.path();
        EXPECT_EQ(mode_of(path), 0600U);
        EXPECT_EQ(text_of(path), "hunter2\n");
    }
    EXPECT_FALSE(exists(path));
}

}  // namespace
}  // namespace pgkeel::postgres
