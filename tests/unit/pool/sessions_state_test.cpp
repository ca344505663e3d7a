#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

// What clients leave in their sessions: it is theirs on whatever server they are, and nobody else sees it.

namespace pgkeel::pool {
namespace {

using std::string;

string shown(FakeClient& client, const string& name) {
    const string answer = client.query("SHOW " + name).answer();
    const auto begin = answer.find("D(");
    return begin == string::npos ? answer : answer.substr(begin + 2, answer.find(')') - begin - 2);
}

string left(FakeClient& client) {
    return shown(client, "left");
}

TEST(sessions_state, each_sees_its_own_settings_on_one_server) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client(), &c = world.client();
    EXPECT_EQ(a.query("SET search_path = one").answer(), "C(SET) Z(I)");
    EXPECT_EQ(a.query("SET statement_timeout TO 5000").answer(), "C(SET) Z(I)");
    EXPECT_EQ(b.query("SET search_path = 'two'; SET statement_timeout = 7").answer(), "C(SET) C(SET) Z(I)");
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(shown(a, "search_path"), "one");
        EXPECT_EQ(shown(b, "search_path"), "two");
        EXPECT_EQ(shown(b, "statement_timeout"), "7");
        EXPECT_EQ(shown(a, "statement_timeout"), "5000");
        EXPECT_EQ(shown(c, "search_path"), "\"$user\", public");
        EXPECT_EQ(shown(c, "statement_timeout"), "");
    }
    EXPECT_EQ(world.postgres.logins(), 1U);
    EXPECT_TRUE(a.session->pins().none());
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_state, values_that_differ_in_case_are_two) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.query("SET app.tenant = 'ABC'").answer();
    b.query("SET app.tenant = 'abc'").answer();
    EXPECT_EQ(shown(a, "app.tenant"), "ABC");
    EXPECT_EQ(shown(b, "app.tenant"), "abc");
    EXPECT_EQ(world.postgres.logins(), 1U);
}

TEST(sessions_state, settings_go_to_another_server_with_the_first_message) {
    World world;
    world.config.settings.default_pool_size = 2;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.query("SET search_path = one").answer();
    b.query("BEGIN").answer();  // has the server that a has used
    EXPECT_EQ(shown(a, "search_path"), "one");
    EXPECT_EQ(world.postgres.sessions().size(), 2U);
    // They were taken once, so nobody waits for an answer to them.
    EXPECT_TRUE(world.workers[0]->is_proven(*a.session->pool(), a.session->settings()));
}

TEST(sessions_state, a_prepared_set_is_a_set_when_it_is_executed) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.parse("s", "SET search_path = one").sync().answer(), "1 Z(I)");
    EXPECT_EQ(shown(a, "search_path"), "\"$user\", public") << "it was only prepared";
    EXPECT_EQ(a.bind("s").execute().sync().answer(), "2 C(SET) Z(I)");
    EXPECT_EQ(shown(b, "search_path"), "\"$user\", public");
    EXPECT_EQ(shown(a, "search_path"), "one");
    EXPECT_EQ(b.parse("", "SET search_path = two").bind("", {}, "p").execute(0, "p").sync().answer(),
              "1 2 C(SET) Z(I)");
    EXPECT_EQ(shown(a, "search_path"), "one");
    EXPECT_EQ(shown(b, "search_path"), "two");
}

TEST(sessions_state, a_rollback_takes_a_setting_back) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.query("SET search_path = one").answer();
    EXPECT_EQ(a.query("BEGIN").query("SET search_path = two").query("ROLLBACK").answer(),
              "C(BEGIN) Z(T) C(SET) Z(T) C(ROLLBACK) Z(I)");
    EXPECT_EQ(shown(a, "search_path"), "one");
    EXPECT_EQ(shown(b, "search_path"), "\"$user\", public");
    EXPECT_EQ(shown(a, "search_path"), "one");
    a.query("SET search_path = two; error 22012").answer();
    EXPECT_EQ(shown(a, "search_path"), "one") << "one query is one transaction";
    a.query("BEGIN; SET search_path = three; COMMIT; SET search_path = four; error 22012").answer();
    EXPECT_EQ(shown(a, "search_path"), "three");
    a.query("BEGIN").query("SET search_path = five").query("error 22012").query("COMMIT").answer();
    EXPECT_EQ(shown(b, "search_path"), "\"$user\", public");
    EXPECT_EQ(shown(a, "search_path"), "three");
    a.parse("", "SET search_path = six").bind("").execute().parse("x", "syntax").sync().answer();
    EXPECT_EQ(shown(a, "search_path"), "three");
    EXPECT_TRUE(a.session->pins().none());
    EXPECT_EQ(world.postgres.logins(), 1U);
}

TEST(sessions_state, a_savepoint_that_was_rolled_back_to_leaves_doubt) {
    World world;
    world.start();
    FakeClient& a = world.client();
    a.query("BEGIN")
        .query("SAVEPOINT s")
        .query("SET search_path = two")
        .query("ROLLBACK TO s")
        .query("COMMIT")
        .answer();
    EXPECT_EQ(a.session->pins().text(), "setting");
    a.query("DISCARD ALL").answer();
    EXPECT_EQ(a.session->pins().text(), "");
    EXPECT_EQ(shown(a, "search_path"), "\"$user\", public");
}

TEST(sessions_state, reset_goes_back_to_what_the_client_began_with) {
    for (const char* sql : {"RESET search_path", "RESET ALL", "DISCARD ALL"}) {
        World world;
        world.start();
        FakeClient& a = world.client(0, {{"search_path", "one"}});
        FakeClient& b = world.client();
        a.query("SET search_path = two").answer();
        EXPECT_EQ(shown(a, "search_path"), "two") << sql;
        a.query(sql).answer();
        EXPECT_EQ(shown(a, "search_path"), "one") << sql;
        EXPECT_EQ(shown(b, "search_path"), "\"$user\", public") << sql;
    }
}

TEST(sessions_state, what_is_local_costs_nothing) {
    World world;
    world.start();
    FakeClient& a = world.client(0, {{"search_path", "one"}});
    EXPECT_EQ(shown(a, "search_path"), "one");
    Backend& server = world.postgres.only();
    server.log.clear();
    EXPECT_EQ(a.query("BEGIN; SET LOCAL search_path = two; SHOW search_path; COMMIT").answer(),
              "C(BEGIN) C(SET) T D(two) C(SHOW) C(COMMIT) Z(I)");
    EXPECT_EQ(shown(a, "search_path"), "one");
    EXPECT_EQ(server.log.size(), 2U) << "nothing was put before the queries";
    EXPECT_TRUE(a.session->pins().none());
    EXPECT_EQ(world.counts().idle, 1U);
}

TEST(sessions_state, words_in_a_literal_or_a_name_are_no_statements) {
    World world;
    world.start();
    FakeClient& a = world.client();
    for (const char* sql : {"mark 'SET search_path = x'", "mark set_search_path", "mark \"LISTEN x\"",
                            "mark pg_advisory_xact_lock(1)", "mark temp"}) {
        EXPECT_EQ(a.query(sql).answer(), fmt::format("T D({}) C(SELECT 1) Z(I)", string(sql).substr(5)));
        EXPECT_TRUE(a.session->pins().none()) << sql;
        EXPECT_EQ(world.counts().idle, 1U) << sql;
    }
}

TEST(sessions_state, what_cannot_be_carried_keeps_the_server_and_is_reset) {
    const std::pair<const char*, const char*> cases[] = {{"CREATE TEMP TABLE t", "temporary"},
                                                         {"LISTEN news", "listen"},
                                                         {"PREPARE p", "prepare"},
                                                         {"SELECT pg_advisory_lock(1)", "advisory_lock"},
                                                         {"SET search_path = E'a\\\\b'", "setting"}};
    for (const auto& [sql, reason] : cases) {
        World world;
        world.config.settings.default_pool_size = 2;
        world.start();
        FakeClient& a = world.client();
        a.query(sql).answer();
        EXPECT_EQ(a.session->pins().text(), reason);
        EXPECT_EQ(world.counts().active, 1U) << sql;
        const string its = left(a);
        const string path = shown(a, "search_path");
        FakeClient& b = world.client();
        EXPECT_EQ(left(b), "") << sql;
        EXPECT_EQ(shown(b, "search_path"), "\"$user\", public");
        EXPECT_EQ(left(a), its) << sql;
        EXPECT_EQ(shown(a, "search_path"), path);
        b.query("BEGIN").answer();  // a's own is the only one left for the next
        a.terminate().answer();
        FakeClient& c = world.client();
        EXPECT_EQ(left(c), "") << sql;
        EXPECT_EQ(shown(c, "search_path"), "\"$user\", public");
        EXPECT_EQ(world.postgres.logins(), 2U) << sql;
        EXPECT_EQ(world.troubles(), "");
    }
}

TEST(sessions_state, without_a_reset_query_there_is_one_all_the_same) {
    World world;
    world.config.settings.server_reset_query.clear();
    world.start();
    FakeClient& a = world.client();
    a.query("CREATE TEMP TABLE t").answer();
    a.terminate().answer();
    FakeClient& b = world.client();
    EXPECT_EQ(left(b), "");
    EXPECT_EQ(world.postgres.logins(), 1U);
}

TEST(sessions_state, who_takes_it_back_gives_the_server_back) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    for (const auto& [sql, undo] : {std::pair("LISTEN news", "UNLISTEN *"), std::pair("PREPARE p", "DEALLOCATE ALL"),
                                    std::pair("CREATE TEMP TABLE t", "DISCARD ALL")}) {
        a.query(sql).answer();
        EXPECT_EQ(world.counts().active, 1U) << sql;
        a.query(undo).answer();
        EXPECT_TRUE(a.session->pins().none()) << undo;
        EXPECT_EQ(world.counts().idle, 1U) << undo;
        EXPECT_EQ(left(b), "") << undo;
    }
}

TEST(sessions_state, what_was_rolled_back_pins_nobody) {
    World world;
    world.start();
    FakeClient& a = world.client();
    a.query("BEGIN").query("LISTEN news").query("CREATE TEMP TABLE t").query("ROLLBACK").answer();
    EXPECT_TRUE(a.session->pins().none());
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(left(a), "");
    a.query("BEGIN").query("SELECT pg_advisory_lock(1)").query("ROLLBACK").answer();
    EXPECT_EQ(a.session->pins().text(), "advisory_lock") << "PostgreSQL does not roll it back";
    EXPECT_EQ(left(a), "lock 1");
    a.query("DISCARD ALL").query("LISTEN; error").answer();
    EXPECT_EQ(a.query("error 22012; LISTEN news").answer(), "E(ERROR 22012 as asked) Z(I)");
    EXPECT_EQ(left(a), "");
}

TEST(sessions_state, a_text_too_long_to_be_seen_is_told_by_its_tags) {
    World world;
    world.piece = 70'000;
    world.start();
    FakeClient& a = world.client();
    a.query("mark " + string(100'000, 'x') + "; SET search_path = one").answer();
    EXPECT_EQ(a.session->pins().text(), "setting");
    EXPECT_EQ(shown(a, "search_path"), "one");
    a.terminate().answer();
    EXPECT_EQ(shown(world.client(), "search_path"), "\"$user\", public");
}

TEST(sessions_state, it_makes_no_difference_where_the_bytes_are_cut) {
    for (const std::size_t piece : {1, 2, 7, 40}) {
        World world;
        world.piece = piece;
        world.start();
        FakeClient &a = world.client(), &b = world.client();
        a.query("SET search_path = one").parse("", "SET statement_timeout = 3").bind("").execute().sync();
        EXPECT_EQ(a.answer(), "C(SET) Z(I) 1 2 C(SET) Z(I)");
        EXPECT_EQ(shown(b, "search_path"), "\"$user\", public");
        EXPECT_EQ(shown(b, "statement_timeout"), "");
        EXPECT_EQ(shown(a, "search_path"), "one");
        EXPECT_EQ(shown(a, "statement_timeout"), "3");
        EXPECT_EQ(world.troubles(), "");
    }
}

TEST(sessions_state, as_pgbouncer_it_carries_nothing_and_pins_nobody) {
    World world;
    world.config.settings.pgbouncer_compat = true;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.query("SET search_path = one").query("LISTEN news").answer();
    EXPECT_TRUE(a.session->pins().none());
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(shown(b, "search_path"), "one") << "as PgBouncer does";
    EXPECT_EQ(left(b), "listen news");
}

TEST(sessions_state, an_unknown_name_never_meets_another_ones_statement) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.parse("s", "mark secret").sync().answer();
    world.postgres.only().log.clear();
    for (const char* name : {"PGKEEL_1", "s", "t"}) {
        const string error = fmt::format("E(ERROR 26000 prepared statement \"{}\" does not exist) Z(I)", name);
        EXPECT_EQ(b.bind(name).execute().sync().answer(), error);
        EXPECT_EQ(b.describe('S', name).sync().answer(), error);
    }
    EXPECT_EQ(b.close('S', "PGKEEL_1").sync().answer(), "3 Z(I)");
    for (const string& line : world.postgres.only().log) EXPECT_FALSE(line.ends_with("PGKEEL_1")) << line;
    EXPECT_EQ(a.bind("s").execute().sync().answer(), "2 D(secret) C(SELECT 1) Z(I)");
}

TEST(sessions_state, a_server_that_dies_of_its_settings_is_replaced) {
    World world;
    world.start();
    FakeClient& warm = world.client();
    EXPECT_EQ(shown(warm, "search_path"), "\"$user\", public");
    FakeClient& a = world.client(0, {{"search_path", "one"}});
    a.query("SHOW search_path");
    // Until it has linked and waits for the answer to its settings.
    while (a.session->state() != Client::State::setting && world.step()) {
    }
    ASSERT_EQ(a.session->state(), Client::State::setting);
    world.postgres.only().die();
    EXPECT_EQ(a.answer(), "T D(one) C(SHOW) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 2U);
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_state, clients_that_change_servers_keep_their_own) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        World world;
        world.seed = seed;
        world.piece = 1 + seed % 50;
        world.config.settings.default_pool_size = 2;
        world.start(1 + seed % 2);
        struct One {
            FakeClient* client;
            string path = "\"$user\", public", expected;
        };
        std::vector<One> all(4);
        for (One& one : all) one.client = &world.client(world.pick(1 + seed % 2));
        int count = 0;
        for (int round = 0; round < 6; ++round) {
            for (One& one : all) {
                const string path = fmt::format("p{}", ++count);
                const bool keeps = world.pick(2) == 0;
                switch (world.pick(4)) {
                    case 0:
                        one.client->query("SET search_path = " + path);
                        one.expected += "C(SET) Z(I) ";
                        one.path = path;
                        break;
                    case 1:
                        one.client->query("BEGIN").query("SET search_path = " + path);
                        one.client->query(keeps ? "COMMIT" : "ROLLBACK");
                        one.expected +=
                            fmt::format("C(BEGIN) Z(T) C(SET) Z(T) C({}) Z(I) ", keeps ? "COMMIT" : "ROLLBACK");
                        if (keeps) one.path = path;
                        break;
                    case 2:
                        one.client->parse("", "SET search_path = " + path).bind("").execute().sync();
                        one.expected += "1 2 C(SET) Z(I) ";
                        one.path = path;
                        break;
                    default:
                        one.client->query("BEGIN; SET LOCAL search_path = " + path + "; COMMIT");
                        one.expected += "C(BEGIN) C(SET) C(COMMIT) Z(I) ";
                }
                one.client->query("SHOW search_path");
                one.expected += fmt::format("T D({}) C(SHOW) Z(I)", one.path);
            }
            world.run();
            for (One& one : all) EXPECT_EQ(one.client->answers(), std::exchange(one.expected, "")) << seed;
        }
        EXPECT_EQ(world.troubles(), "") << seed;
        EXPECT_EQ(world.counts().active, 0U) << seed;
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace pgkeel::pool
