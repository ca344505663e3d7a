#include "cluster/rotation.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

TEST(rotation, is_read_back_as_it_was_written) {
    for (const RotationPhase phase : {RotationPhase::prepare, RotationPhase::commit, RotationPhase::finish}) {
        const Rotation written{.id = "4f", .phase = phase, .roles = {"a \"b\"", "c"}, .members = {"pg-a", "pg-b"}};
        const auto read = read_rotation({.key = "k", .value = write_rotation(written), .mod_revision = 7});
        ASSERT_TRUE(read);
        EXPECT_EQ(read->id, "4f");
        EXPECT_EQ(read->phase, phase);
        EXPECT_EQ(read->roles, written.roles);
        EXPECT_EQ(read->members, written.members);
        EXPECT_EQ(read->mod_revision, 7);
    }
}

TEST(rotation, what_nobody_understands_is_none) {
    for (const char* text :
         {"", "[]", "{}", R"({"id":"a","phase":"later","roles":["b"]})", R"({"id":"","phase":"commit","roles":["b"]})",
          R"({"id":"a","phase":"commit","roles":[]})"})
        EXPECT_FALSE(read_rotation({.key = "k", .value = text})) << text;
}

}  // namespace
}  // namespace pgkeel::cluster
