#include "sessions_world.hpp"

#include <gtest/gtest.h>

namespace pgkeel::pool {
namespace {

TEST(sessions, a_client_logs_in_and_asks) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parameters["server_version"], "15.8");
    EXPECT_EQ(client.key.size(), 8U);
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(client.parse("", "mark $1").bind("", "b").describe('P', "").execute().sync().answer(),
              "1 2 T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(client.query("BEGIN").answer(), "C(BEGIN) Z(T)");
    EXPECT_EQ(world.counts().active, 1U);
    EXPECT_EQ(client.query("COMMIT").answer(), "C(COMMIT) Z(I)");
    client.terminate();
    EXPECT_EQ(client.answer(), "closed");
    EXPECT_EQ(world.troubles(), "");
}

}  // namespace
}  // namespace pgkeel::pool
