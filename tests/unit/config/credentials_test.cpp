#include "config/credentials.hpp"

#include "auth/scram.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace pgkeel::config {
namespace {

std::string verifier_of(const std::string& password) {
    return std::string(auth::make_verifier(password)->text().reveal());
}

PgUser configured(const std::string& name, const std::string& password) {
    return {.username = name, .password = password, .connection = {}, .configured_password = password};
}

TEST(credentials, are_read_back_as_they_were_written) {
    RotatedCredentials written;
    written.rotation = "id";
    written.switched = true;
    written.roles["post\"gres"] = {"new:\\", "old", verifier_of("first")};
    written.roles["replicator"] = {"alone", "", verifier_of("x")};
    const auto read = parse_credentials(write_credentials(written), "f");
    ASSERT_TRUE(read) << read.error().line();
    EXPECT_EQ(read->rotation, "id");
    EXPECT_TRUE(read->switched);
    ASSERT_EQ(read->roles.size(), 2U);
    EXPECT_EQ(read->roles.at("post\"gres").password, "new:\\");
    EXPECT_EQ(read->roles.at("post\"gres").other, "old");
    EXPECT_EQ(read->roles.at("replicator").other, "");
}

TEST(credentials, a_broken_file_is_an_error_and_never_ignored) {
    for (const char* text : {"", "{", "[]", "{}", R"({"version":2,"roles":{}})", R"({"version":1})",
                             R"({"version":1,"roles":{"a":"b"}})", R"({"version":1,"roles":{"a":{}}})"}) {
        const auto read = parse_credentials(text, "/etc/p.yml.credentials");
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Errc::invalid_input);
        EXPECT_NE(read.error().text.find("/etc/p.yml.credentials"), std::string::npos);
    }
}

TEST(credentials, the_replaced_password_is_not_in_the_file) {
    RotatedCredentials written;
    written.roles["postgres"] = {"new", "", verifier_of("hunter2")};
    EXPECT_EQ(write_credentials(written).find("hunter2"), std::string::npos);
}

TEST(credentials, stand_beside_the_configuration_unless_it_names_a_file) {
    EXPECT_EQ(credentials_path("/etc/patroni.yml", ""), "/etc/patroni.yml.credentials");
    EXPECT_EQ(credentials_path("/etc/patroni/", ""), "/etc/patroni.credentials");
    EXPECT_EQ(credentials_path("/etc/patroni.yml", "/var/lib/p"), "/var/lib/p");
    EXPECT_EQ(credentials_path("", ""), "");
    EXPECT_EQ(credentials_path("", "/var/lib/p"), "/var/lib/p");
}

TEST(credentials, win_while_the_configuration_has_the_password_that_they_replaced) {
    const RotatedPassword entry{"new", "", verifier_of("old")};
    EXPECT_TRUE(still_holds(entry, "old"));
    EXPECT_TRUE(still_holds(entry, "new"));  // the operator has written it into the configuration, too
    EXPECT_FALSE(still_holds(entry, "by hand"));
    EXPECT_FALSE(still_holds(entry, ""));
    EXPECT_FALSE(still_holds({"new", "", "no verifier"}, "old"));
    EXPECT_FALSE(still_holds({"new", "", ""}, ""));
}

TEST(credentials, both_passwords_are_known_while_a_rotation_is_under_way) {
    Postgresql postgresql;
    postgresql.superuser = configured("postgres", "old");
    postgresql.replication = configured("replicator", "rep");
    postgresql.rewind = configured("postgres", "old");  // without a section of its own it is the superuser
    RotatedCredentials credentials;
    credentials.rotation = "id";
    credentials.roles["postgres"] = {"old", "new", verifier_of("old")};
    std::vector<std::string> warnings;
    apply_credentials(credentials, "f", postgresql, &warnings);
    EXPECT_EQ(postgresql.superuser.password, "old");
    EXPECT_EQ(postgresql.superuser.other_password, "new");
    EXPECT_EQ(postgresql.rewind.other_password, "new");
    EXPECT_EQ(postgresql.replication.password, "rep");
    EXPECT_EQ(postgresql.replication.other_password, "");
    credentials.roles["postgres"] = {"new", "", verifier_of("old")};
    apply_credentials(credentials, "f", postgresql, &warnings);
    EXPECT_EQ(postgresql.superuser.password, "new");
    EXPECT_EQ(postgresql.superuser.other_password, "");
    EXPECT_TRUE(warnings.empty());
}

TEST(credentials, a_password_that_was_changed_by_hand_wins_with_a_warning) {
    Postgresql postgresql;
    postgresql.superuser = postgresql.rewind = configured("postgres", "by hand");
    RotatedCredentials credentials;
    credentials.roles["postgres"] = {"new", "", verifier_of("old")};
    std::vector<std::string> warnings;
    apply_credentials(credentials, "/etc/p.yml.credentials", postgresql, &warnings);
    EXPECT_EQ(postgresql.superuser.password, "by hand");
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings.front(),
              "the configuration has another password for role postgres than the one that was rotated: "
              "/etc/p.yml.credentials is not used for it");
}

class CredentialsFile : public testing::Test {
  protected:
    CredentialsFile() {
        char name[] = "/tmp/pgkeel-config-XXXXXX";
        directory = mkdtemp(name);
        std::ofstream(directory / "p.yml") << R"(
scope: batman
name: pg-a
restapi: {listen: '10.0.0.1:8008'}
etcd3: {host: 'e1:2379'}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: replicator, password: old}}
)";
        chmod((directory / "p.yml").c_str(), 0600);
    }
    ~CredentialsFile() override { std::filesystem::remove_all(directory); }
    void keep(const RotatedCredentials& credentials, mode_t mode = 0600) const {
        const auto path = directory / "p.yml.credentials";
        std::ofstream(path) << write_credentials(credentials);
        chmod(path.c_str(), mode);
    }
    Result<AgentConfig> load(const Environment& environment = {}) const {
        return load_agent_config(directory / "p.yml", environment);
    }
    std::filesystem::path directory;
};

TEST_F(CredentialsFile, wins_over_the_file_and_over_the_environment_that_it_was_derived_from) {
    RotatedCredentials credentials;
    credentials.roles["replicator"] = {"new", "", verifier_of("old")};
    keep(credentials);
    auto config = load();
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->postgresql.replication.password, "new");
    EXPECT_EQ(config->postgresql.replication.configured_password, "old");
    // A variable that is set since is a change by hand.
    config = load({{"PATRONI_REPLICATION_PASSWORD", "by hand"}});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->postgresql.replication.password, "by hand");
    ASSERT_FALSE(config->warnings.empty());
    EXPECT_NE(config->warnings.back().find("role replicator"), std::string::npos);
    credentials.roles["replicator"] = {"new", "", verifier_of("from environment")};
    keep(credentials);
    config = load({{"PATRONI_REPLICATION_PASSWORD", "from environment"}});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->postgresql.replication.password, "new");
}

TEST_F(CredentialsFile, broken_keeps_the_agent_from_going_on_with_old_passwords) {
    std::ofstream(directory / "p.yml.credentials") << "{";
    const auto config = load();
    ASSERT_FALSE(config);
    EXPECT_NE(config.error().text.find("p.yml.credentials"), std::string::npos);
}

TEST_F(CredentialsFile, that_everybody_can_read_is_warned_of) {
    RotatedCredentials credentials;
    credentials.roles["replicator"] = {"new", "", verifier_of("old")};
    keep(credentials, 0644);
    const auto config = load();
    ASSERT_TRUE(config);
    ASSERT_FALSE(config->warnings.empty());
    EXPECT_NE(config->warnings.back().find("chmod o-r"), std::string::npos);
}

}  // namespace
}  // namespace pgkeel::config
