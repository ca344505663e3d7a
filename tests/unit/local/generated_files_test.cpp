#include "local/generated_files.hpp"

#include "config/agent_config.hpp"
#include "config/pooler.hpp"
#include "config/yaml.hpp"
#include "local/files.hpp"
#include "scratch_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json/value.hpp>

namespace pgkeel::local {

namespace {
struct Made {
    ScratchDirectory scratch;
    Layout layout{scratch.path()};
    Plan plan = make_plan("shop", 2).value();
    Programs programs{"/usr/bin/etcd", "/usr/lib/postgresql/15/bin"};
};

std::vector<std::string> all_secrets(const Passwords& secret) {
    return {secret.superuser, secret.replication, secret.rewind, secret.rest, secret.etcd_root, secret.etcd};
}
}  // namespace

TEST(agent_file, is_yaml_with_the_ports_of_its_node) {
    const Made made;
    const auto file = config::parse_yaml(agent_file(made.plan, made.layout, made.plan.nodes[1], made.programs), "pg-b");
    ASSERT_TRUE(file) << file.error().line();
    EXPECT_EQ(file->at("name").as_string(), "pg-b");
    EXPECT_EQ(file->at("scope").as_string(), "shop");
    const std::string address = "127.0.0.1:" + std::to_string(made.plan.nodes[1].postgres_port);
    EXPECT_EQ(file->at("postgresql").at("listen").as_string(), address);
    EXPECT_EQ(file->at("restapi").at("verify_client").as_string(), "optional");
    const auto& dynamic = file->at("bootstrap").at("dcs");
    EXPECT_EQ(dynamic.at("ttl").as_int64(), 5);
    EXPECT_EQ(dynamic.at("loop_wait").as_int64(), 1);
    EXPECT_TRUE(dynamic.at("postgresql").at("use_pg_rewind").as_bool());
    EXPECT_EQ(file->at("etcd3").at("hosts").as_array().size(), 3U);
    EXPECT_EQ(file->at("etcd3").at("protocol").as_string(), "https");
}

TEST(agent_file, is_taken_by_the_agent_without_a_warning) {
    const Made made;
    ASSERT_TRUE(write_files(made.plan, made.layout, made.programs));
    const auto config = config::load_agent_config(made.layout.agent_config("pg-a"), {});
    ASSERT_TRUE(config) << config.error().line();
    for (const std::string& warning : config->warnings) ADD_FAILURE() << warning;
    EXPECT_EQ(config->prefix(), "/service/shop/");
    EXPECT_EQ(config->etcd.endpoints.size(), 3U);
    const auto client = config::load_client_config(made.layout.client_config(), {});
    ASSERT_TRUE(client) << client.error().line();
    for (const std::string& warning : client->warnings) ADD_FAILURE() << warning;
    EXPECT_EQ(client->ctl.authentication.password, made.plan.passwords.rest);
}

TEST(client_file, gives_patronis_client_of_version_3_its_credentials) {
    const Made made;
    const auto file = config::parse_yaml(client_file(made.plan, made.layout), "client");
    ASSERT_TRUE(file) << file.error().line();
    EXPECT_EQ(file->at("restapi").at("authentication").at("password").as_string(), made.plan.passwords.rest);
}

TEST(agent_file, lets_nobody_in_without_a_password) {
    const Made made;
    const auto file = config::parse_yaml(agent_file(made.plan, made.layout, made.plan.nodes[0], made.programs), "pg-a");
    ASSERT_TRUE(file);
    for (const auto& line : file->at("postgresql").at("pg_hba").as_array())
        EXPECT_TRUE(std::string_view(line.as_string()).ends_with("scram-sha-256")) << line.as_string();
}

TEST(proxy_file, is_taken_by_the_proxy_without_a_warning) {
    const Made made;
    ASSERT_TRUE(write_files(made.plan, made.layout, made.programs));
    const auto config = config::load_pooler_config(made.layout.proxy_config(), {});
    ASSERT_TRUE(config) << config.error().line();
    for (const config::Problem& warning : config->warnings) ADD_FAILURE() << warning.line();
    EXPECT_TRUE(config->follows_cluster);
    EXPECT_EQ(config->scope, "shop");
    ASSERT_EQ(config->listeners.size(), 4U);
    EXPECT_EQ(config->listeners[1].route, config::Route::standby);
    EXPECT_EQ(config->listeners[1].port, made.plan.proxy_port("standby"));
    EXPECT_EQ(config->listeners[3].route, config::Route::primary);
    EXPECT_EQ(config->listeners[3].pool_mode, config::PoolMode::transaction);
    EXPECT_EQ(config->settings.auth_type, config::AuthType::scram_sha_256);
    EXPECT_TRUE(config->settings.unix_socket_dir.empty());
}

TEST(connection_uri, names_every_node_and_no_password) {
    const Made made;
    const std::string uri = connection_uri(made.plan, made.layout);
    for (const NodePlan& node : made.plan.nodes)
        EXPECT_NE(uri.find("127.0.0.1:" + std::to_string(node.postgres_port)), std::string::npos);
    EXPECT_NE(uri.find("target_session_attrs=read-write"), std::string::npos);
    for (const std::string& secret : all_secrets(made.plan.passwords)) EXPECT_EQ(uri.find(secret), std::string::npos);
}

TEST(connection_uri, survives_blanks_and_signs_in_the_path) {
    const Made made;
    const std::string uri = connection_uri(made.plan, Layout{"/tmp/my cluster&more=ü"});
    EXPECT_NE(uri.find("passfile=/tmp/my%20cluster%26more%3D%C3%BC/pgpass"), std::string::npos) << uri;
}

TEST(service_file, holds_no_password) {
    const Made made;
    const std::string text = service_file(made.plan, made.layout);
    for (const char* section : {"[shop]", "[shop-standby]", "[pg-a]", "[pg-b]", "[shop-proxy]", "[shop-proxy-pooled]"})
        EXPECT_NE(text.find(section), std::string::npos) << section;
    for (const std::string& secret : all_secrets(made.plan.passwords)) EXPECT_EQ(text.find(secret), std::string::npos);
}

TEST(write_files, only_the_owner_can_read_what_holds_a_secret) {
    const Made made;
    ASSERT_TRUE(write_files(made.plan, made.layout, made.programs));
    ASSERT_TRUE(save_plan(made.layout, made.plan));
    int with_secrets = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(made.layout.directory)) {
        if (!entry.is_regular_file()) continue;
        const std::string content = read_file(entry.path()).value();
        bool secret = content.find("PRIVATE KEY") != std::string::npos;
        for (const std::string& each : all_secrets(made.plan.passwords))
            secret = secret || content.find(each) != std::string::npos;
        if (!secret) continue;
        ++with_secrets;
        struct stat status{};
        ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << entry.path();
    }
    // Two agents, the proxy and its users, the commands, the password file, the plan, and the keys of the authority,
    // the client, the proxy and five servers.
    EXPECT_EQ(with_secrets, 2 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 5);
}

TEST(write_files, keeps_certificates_and_adds_those_of_new_nodes) {
    Made made;
    ASSERT_TRUE(write_files(made.plan, made.layout, made.programs));
    const std::string before = read_file(made.layout.certificate("pg-a")).value();
    ASSERT_TRUE(grow(made.plan, 3));
    ASSERT_TRUE(write_files(made.plan, made.layout, made.programs));
    EXPECT_EQ(read_file(made.layout.certificate("pg-a")).value(), before);
    EXPECT_TRUE(read_file(made.layout.certificate("pg-c")));
    EXPECT_TRUE(read_file(made.layout.agent_config("pg-c")));
}

TEST(layout, unix_sockets_are_used_where_they_fit) {
    EXPECT_TRUE(Layout{"/var/lib/pgkeel/local"}.sockets_fit());
    EXPECT_FALSE(Layout{"/" + std::string(90, 'x')}.sockets_fit());
}

}  // namespace pgkeel::local
