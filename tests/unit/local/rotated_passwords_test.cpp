#include "local/rotated_passwords.hpp"

#include "auth/scram.hpp"
#include "config/credentials.hpp"
#include "local/generated_files.hpp"
#include "unit/local/scratch_directory.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace pgkeel::local {
namespace {

class RotatedPasswords : public testing::Test {
  protected:
    RotatedPasswords() {
        plan.nodes = {{"pg-a", 1, 2}, {"pg-b", 3, 4}};
        plan.passwords.superuser = "old";
        plan.passwords.replication = "old-rep";
        plan.passwords.rewind = "old-rewind";
        plan.passwords.rest = "rest";
        plan.etcd = {{"etcd-1", 5, 6}};
        for (const NodePlan& node : plan.nodes) {
            std::filesystem::create_directories(layout.node(node.name));
            std::ofstream(layout.agent_config(node.name)) << agent_file(plan, layout, node, {});
        }
    }
    /// The agent's file, `age` seconds old.
    void keep(const std::string& node, const std::string& password, const std::string& other, bool switched,
              int age) const {
        config::RotatedCredentials credentials;
        if (!other.empty()) credentials.rotation = "id";
        credentials.switched = switched;
        credentials.roles["postgres"] = {password, other, std::string(auth::make_verifier("old")->text().reveal())};
        const std::string path = layout.agent_config(node) + ".credentials";
        std::ofstream(path) << config::write_credentials(credentials);
        std::filesystem::last_write_time(path,
                                         std::filesystem::file_time_type::clock::now() - std::chrono::seconds(age));
    }
    ScratchDirectory scratch;
    Layout layout{scratch.path()};
    Plan plan;
};

TEST_F(RotatedPasswords, nothing_changes_without_a_rotation) {
    EXPECT_FALSE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "old");
}

TEST_F(RotatedPasswords, what_is_only_stored_is_not_in_force) {
    keep("pg-a", "old", "new", false, 0);
    EXPECT_FALSE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "old");
}

TEST_F(RotatedPasswords, are_taken_over_once_an_agent_has_switched) {
    keep("pg-a", "old", "new", false, 0);
    keep("pg-b", "new", "old", true, 5);
    EXPECT_TRUE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "new");
    EXPECT_EQ(plan.passwords.replication, "old-rep");
    EXPECT_FALSE(adopt_rotated(plan, layout));
}

TEST_F(RotatedPasswords, who_has_changed_last_counts) {
    keep("pg-a", "second", "", false, 1);
    keep("pg-b", "first", "", false, 10);
    EXPECT_TRUE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "second");
}

TEST_F(RotatedPasswords, what_an_agent_does_not_use_itself_is_left_alone) {
    plan.passwords.superuser = "by hand";  // and the agents' files were made from it
    for (const NodePlan& node : plan.nodes)
        std::ofstream(layout.agent_config(node.name)) << agent_file(plan, layout, node, {});
    keep("pg-a", "new", "", false, 1);
    EXPECT_FALSE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "by hand");
}

TEST_F(RotatedPasswords, a_second_rotation_is_followed_although_the_first_one_was_missed) {
    keep("pg-a", "third", "second", true, 1);
    EXPECT_TRUE(adopt_rotated(plan, layout));
    EXPECT_EQ(plan.passwords.superuser, "third");
}

}  // namespace
}  // namespace pgkeel::local
