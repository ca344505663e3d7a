#include "cli/find_config.hpp"
#include "cli/superuser.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pgkeel::cli {
namespace {

class FindConfig : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "find-config-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        file_ = directory_ + "/node.yml";
        std::ofstream(file_) << "scope: demo\nname: a\netcd3: {hosts: '127.0.0.1:1'}\n"
                                "postgresql:\n  authentication:\n    superuser: {username: boss, password: 'pa''ss', "
                                "sslmode: require}\n";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    std::string directory_;
    std::string file_;
};

TEST_F(FindConfig, takes_the_named_file_before_everything_else) {
    const auto config = find_config({file_, {}}, {{"PGKEEL_CONFIG", "/nowhere"}});
    ASSERT_TRUE(config.has_value()) << config.error().line();
    EXPECT_EQ(config->scope, "demo");
    EXPECT_EQ(config->prefix(), "/service/demo/");
}

TEST_F(FindConfig, takes_the_file_of_the_environment) {
    EXPECT_EQ(find_config({}, {{"PGKEEL_CONFIG", file_}}).value().scope, "demo");
    EXPECT_EQ(find_config({}, {{"PATRONICTL_CONFIG_FILE", file_}}).value().scope, "demo");
}

TEST_F(FindConfig, names_what_it_cannot_find) {
    EXPECT_NE(find_config({"/nowhere/a.yml", {}}, {}).error().text.find("/nowhere/a.yml"), std::string::npos);
    const auto missing = find_config({}, {{"PGKEEL_CONFIG", "/nowhere/b.yml"}});
    EXPECT_NE(missing.error().text.find("/nowhere/b.yml, which $PGKEEL_CONFIG names"), std::string::npos);
    EXPECT_EQ(find_config({{}, directory_}, {{"PGKEEL_CONFIG", file_}}).error().code, Errc::not_found);
}

TEST_F(FindConfig, variables_alone_lead_to_a_cluster) {
    const auto config = find_config({}, {{"PATRONI_ETCD3_HOSTS", "127.0.0.1:1"}, {"PATRONI_SCOPE", "other"}});
    ASSERT_TRUE(config.has_value()) << config.error().line();
    EXPECT_EQ(config->scope, "other");
}

TEST_F(FindConfig, has_the_superuser_of_a_node) {
    const auto user = find_config({file_, {}}, {{"PATRONI_SUPERUSER_PASSWORD", "newer"}}).value().postgresql.superuser;
    EXPECT_EQ(user.username, "boss");
    EXPECT_EQ(user.password, "newer");
    EXPECT_EQ(user.connection.at("sslmode"), "require");
    EXPECT_EQ(find_superuser(file_, {}).password, "pa'ss");
    EXPECT_TRUE(find_superuser(directory_, {}).username.empty());
}

}  // namespace
}  // namespace pgkeel::cli
