#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

// Prepared statements and settings of clients who share servers.

namespace pgkeel::pool {
namespace {

using std::string;

string setting(FakeClient& client, const string& name) {
    const string answer = client.query("SHOW " + name).answer();
    const auto begin = answer.find("D(");
    return begin == string::npos ? answer : answer.substr(begin + 2, answer.find(')') - begin - 2);
}

string unknown(const string& name) {
    return fmt::format("E(ERROR 26000 prepared statement \"{}\" does not exist) Z(I)", name);
}

TEST(sessions_statements, one_name_may_mean_two_things) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.parse("s", "mark a$1").sync().answer(), "1 Z(I)");
    EXPECT_EQ(b.parse("s", "mark b$1").sync().answer(), "1 Z(I)");
    EXPECT_EQ(a.bind("s", "1").execute().sync().answer(), "2 D(a1) C(SELECT 1) Z(I)");
    EXPECT_EQ(b.bind("s", "1").execute().sync().answer(), "2 D(b1) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.only().prepared(), 2U);
}

TEST(sessions_statements, one_text_is_prepared_once) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.parse("s", "mark $1").bind("s", "1").execute().sync().answer(), "1 2 D(1) C(SELECT 1) Z(I)");
    world.postgres.only().log.clear();
    EXPECT_EQ(b.parse("other", "mark $1").describe('S', "other").bind("other", "2").execute().sync().answer(),
              "1 t T 2 D(2) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.only().log.front(), "D SPGKEEL_1");
    EXPECT_EQ(b.close('S', "other").bind("other", "3").execute().sync().answer(), "3 " + unknown("other"));
    EXPECT_EQ(a.bind("s", "4").execute().sync().answer(), "2 D(4) C(SELECT 1) Z(I)");
}

TEST(sessions_statements, the_one_used_longest_ago_makes_room) {
    World world;
    world.config.settings.max_prepared_statements = 2;
    world.start();
    FakeClient& client = world.client();
    for (const char* name : {"a", "b", "c"})
        EXPECT_EQ(client.parse(name, string("mark ") + name).sync().answer(), "1 Z(I)");
    EXPECT_EQ(world.postgres.only().prepared(), 2U);
    for (const char* name : {"a", "b", "c", "a"})
        EXPECT_EQ(client.bind(name).execute().sync().answer(), fmt::format("2 D({}) C(SELECT 1) Z(I)", name));
    EXPECT_EQ(world.postgres.only().prepared(), 2U);
    // Its Close is skipped, so it is still there.
    EXPECT_EQ(client.parse("", "syntax").bind("b").execute().sync().answer(), "E(ERROR 42601 syntax error) Z(I)");
    for (const char* name : {"a", "b", "c"})
        EXPECT_EQ(client.bind(name).execute().sync().answer(), fmt::format("2 D({}) C(SELECT 1) Z(I)", name));
}

TEST(sessions_statements, an_error_undoes_what_it_skips) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parse("bad", "syntax").sync().answer(), "E(ERROR 42601 syntax error) Z(I)");
    EXPECT_EQ(client.bind("bad").sync().answer(), unknown("bad"));
    EXPECT_EQ(client.parse("bad", "mark good").bind("bad").execute().sync().answer(), "1 2 D(good) C(SELECT 1) Z(I)");
    EXPECT_EQ(client.parse("", "syntax")
                  .parse("late", "mark late")
                  .close('S', "bad")
                  .parse("bad", "mark worse")
                  .sync()
                  .answer(),
              "E(ERROR 42601 syntax error) Z(I)");
    EXPECT_EQ(client.bind("late").sync().answer(), unknown("late"));
    EXPECT_EQ(client.bind("bad").execute().sync().answer(), "2 D(good) C(SELECT 1) Z(I)");
}

TEST(sessions_statements, a_failure_is_known_before_its_name_is_used_again) {
    World world;
    world.start();
    FakeClient& client = world.client();
    client.parse("s", "syntax").sync().parse("s", "mark $1").bind("s", "1").execute().sync();
    EXPECT_EQ(client.answer(), "E(ERROR 42601 syntax error) Z(I) 1 2 D(1) C(SELECT 1) Z(I)");
    client.parse("t", "syntax").query("mark q").bind("t", "1").sync().bind("s", "1").sync();
    EXPECT_EQ(client.answer(), "E(ERROR 42601 syntax error) Z(I) 2 Z(I)") << "only a Sync ends what is skipped";
    client.parse("", "syntax").close('S', "s").sync().bind("s", "2").execute().sync();
    EXPECT_EQ(client.answer(), "E(ERROR 42601 syntax error) Z(I) 2 D(2) C(SELECT 1) Z(I)");
}

TEST(sessions_statements, a_name_that_is_taken_is_an_error_in_its_place) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parse("s", "mark 1").bind("s").execute().parse("s", "mark 2").bind("s").execute().sync().answer(),
              "1 2 D(1) C(SELECT 1) E(ERROR 42P05 prepared statement \"s\" already exists) Z(I)");
    EXPECT_EQ(client.bind("s").execute().close('S', "s").parse("s", "mark 2").bind("s").execute().sync().answer(),
              "2 D(1) C(SELECT 1) 3 1 2 D(2) C(SELECT 1) Z(I)");
    EXPECT_EQ(client.query("mark still here").answer(), "T D(still here) C(SELECT 1) Z(I)");
}

TEST(sessions_statements, an_unknown_name_is_an_error_in_its_place) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parse("", "mark 1").bind("").execute().bind("what").execute().sync().answer(),
              "1 2 D(1) C(SELECT 1) " + unknown("what"));
    EXPECT_EQ(client.describe('S', "what").sync().answer(), unknown("what"));
    EXPECT_EQ(client.close('S', "what").sync().answer(), "3 Z(I)") << "closing nothing is no error";
}

TEST(sessions_statements, all_can_be_forgotten_at_once) {
    for (const char* sql : {"DEALLOCATE ALL", "DISCARD ALL"}) {
        World world;
        world.start();
        FakeClient &a = world.client(), &b = world.client();
        EXPECT_EQ(a.parse("s", "mark $1").sync().answer(), "1 Z(I)");
        EXPECT_EQ(b.parse("s", "mark $1").sync().answer(), "1 Z(I)");
        EXPECT_EQ(a.query(sql).answer(), fmt::format("C({}) Z(I)", sql));
        EXPECT_EQ(a.bind("s", "1").sync().answer(), unknown("s"));
        EXPECT_EQ(b.bind("s", "2").execute().sync().answer(), "2 D(2) C(SELECT 1) Z(I)") << "it is not b's wish";
        EXPECT_EQ(a.query(sql).parse("t", "mark t").sync().answer(), fmt::format("C({}) Z(I) 1 Z(I)", sql));
        EXPECT_EQ(b.parse("t", "mark t").bind("t").execute().sync().answer(), "1 2 D(t) C(SELECT 1) Z(I)");
        EXPECT_EQ(a.bind("t").execute().sync().answer(), "2 D(t) C(SELECT 1) Z(I)");
    }
}

TEST(sessions_settings, two_clients_share_a_server_and_no_settings) {
    World world;
    world.start();
    FakeClient& a = world.client(0, {{"application_name", "a"}, {"search_path", "one"}, {"extra_float_digits", "2"}});
    FakeClient& b = world.client(0, {{"application_name", "b"}, {"search_path", "two"}});
    FakeClient& c = world.client();
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(setting(a, "application_name"), "a");
        EXPECT_EQ(setting(b, "search_path"), "two");
        EXPECT_EQ(setting(a, "search_path"), "one");
        EXPECT_EQ(setting(a, "extra_float_digits"), "2");
        EXPECT_EQ(setting(b, "application_name"), "b");
        EXPECT_EQ(setting(b, "extra_float_digits"), "");
        EXPECT_EQ(setting(c, "search_path"), "\"$user\", public");
        EXPECT_EQ(setting(c, "application_name"), "");
    }
    EXPECT_EQ(world.postgres.sessions().size(), 1U);
}

TEST(sessions_settings, what_a_client_throws_away_is_set_again) {
    for (const char* sql : {"DISCARD ALL", "RESET search_path", "SET search_path = other"}) {
        World world;
        world.start();
        FakeClient& a = world.client(0, {{"search_path", "one"}});
        FakeClient& b = world.client(0, {{"search_path", "one"}});
        FakeClient& c = world.client();
        EXPECT_EQ(setting(b, "search_path"), "one");
        a.query(sql).answer();
        EXPECT_EQ(setting(b, "search_path"), "one") << sql;
        a.query(sql).answer();
        EXPECT_EQ(setting(c, "search_path"), "\"$user\", public") << sql;
    }
}

TEST(sessions_settings, the_reset_of_session_mode_is_known) {
    World world;
    world.config.settings.pool_mode = config::PoolMode::session;
    world.start();
    for (int i = 0; i < 2; ++i) {
        FakeClient& client = world.client(0, {{"search_path", "one"}, {"application_name", "a"}});
        EXPECT_EQ(setting(client, "search_path"), "one");
        EXPECT_EQ(setting(client, "application_name"), "a");
        client.terminate().answer();
    }
    EXPECT_EQ(world.postgres.logins(), 1U);
}

TEST(sessions_settings, what_is_set_follows_the_client) {
    World world;
    world.config.settings.default_pool_size = 2;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.query("SET application_name = 'mine'").answer(), "C(SET) S(application_name=mine) Z(I)");
    b.query("BEGIN").answer();  // has the server that a has used
    EXPECT_EQ(setting(b, "application_name"), "");
    EXPECT_EQ(setting(a, "application_name"), "mine");
    EXPECT_EQ(world.postgres.sessions().size(), 2U);
}

TEST(sessions_settings, a_rollback_takes_it_back) {
    World world;
    world.start();
    FakeClient& a = world.client(0, {{"application_name", "a"}});
    FakeClient& b = world.client(0, {{"application_name", "b"}});
    EXPECT_EQ(a.query("BEGIN").query("SET application_name = 'x'").answer(),
              "C(BEGIN) Z(T) C(SET) S(application_name=x) Z(T)");
    EXPECT_EQ(a.query("ROLLBACK").answer(), "C(ROLLBACK) S(application_name=a) Z(I)");
    EXPECT_EQ(setting(b, "application_name"), "b");
    EXPECT_EQ(setting(a, "application_name"), "a");
}

TEST(sessions_settings, the_server_may_spell_them_in_its_way) {
    World world;
    world.start();
    FakeClient& a = world.client(0, {{"datestyle", "german"}});
    FakeClient& b = world.client(0, {{"datestyle", "iso"}});
    EXPECT_EQ(setting(a, "DateStyle"), "German, DMY");
    EXPECT_EQ(setting(b, "DateStyle"), "ISO, MDY");
    EXPECT_EQ(setting(a, "DateStyle"), "German, DMY");
    Backend& server = world.postgres.only();
    server.log.clear();
    EXPECT_EQ(setting(a, "DateStyle"), "German, DMY");
    EXPECT_EQ(server.log.size(), 1U) << "nothing differs any more";
}

TEST(sessions_settings, what_no_server_takes_ends_the_client_alone) {
    World world;
    world.start();
    FakeClient& good = world.client(0, {{"application_name", "good"}});
    FakeClient& bad = world.client(0, {{"datestyle", "invalid"}});
    EXPECT_EQ(bad.query("mark bad").answer(), "E(FATAL 22023 invalid value for parameter \"datestyle\") closed");
    EXPECT_EQ(setting(good, "application_name"), "good");
    EXPECT_EQ(setting(good, "DateStyle"), "ISO, MDY");
    for (const Backend* server : world.postgres.sessions())
        for (const string& line : server->log) EXPECT_NE(line, "Q mark bad") << "it ran with the wrong settings";
}

}  // namespace
}  // namespace pgkeel::pool
