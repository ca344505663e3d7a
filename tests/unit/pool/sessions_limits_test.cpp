#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

// Limits, queues and times.

namespace pgkeel::pool {
namespace {

using std::string;
using std::chrono::milliseconds;
using std::chrono::seconds;

string row(const string& mark) {
    return fmt::format("T D({}) C(SELECT 1) Z(I)", mark);
}

TEST(sessions_limits, the_queue_is_one_over_all_workers) {
    World world;
    world.start(3);
    std::vector<FakeClient*> clients;
    for (std::size_t i = 0; i < 6; ++i) clients.push_back(&world.client(i % 3));
    clients[0]->query("BEGIN").answer();
    for (std::size_t i = 1; i < 6; ++i) clients[i]->query("BEGIN").answer();
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(clients[i]->answers(), i == 0 ? "" : "C(BEGIN) Z(T)") << i;
        for (std::size_t j = i + 1; j < 6; ++j) EXPECT_EQ(clients[j]->bytes_in(), 0U) << j;
        clients[i]->query("COMMIT").answer();
    }
    EXPECT_EQ(world.postgres.logins(), 1U) << "it was handed over";
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_limits, who_waits_too_long_is_told_and_ended) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.query("BEGIN").answer();
    b.query("mark b").answer();
    world.pass(seconds(6));
    EXPECT_EQ(b.answers(), "N(NOTICE 00000 No server connection available in postgres backend, client being queued)");
    world.pass(seconds(110));
    EXPECT_EQ(b.answers(), "");
    world.pass(seconds(5));
    EXPECT_EQ(b.answers(), "E(FATAL 53300 query_wait_timeout) closed");
    EXPECT_EQ(world.counts().waiting, 0U);
    EXPECT_EQ(a.query("COMMIT").answer(), "C(COMMIT) Z(I)");
}

TEST(sessions_limits, a_login_that_is_refused_is_told_to_all_who_wait) {
    World world;
    world.postgres.method = Postgres::Method::refuse_all;
    world.start(2);
    FakeClient &a = world.connect_client(0).startup(), &b = world.connect_client(1).startup();
    world.run();
    EXPECT_EQ(a.answers(), "E(FATAL 28P01 no) closed");
    EXPECT_EQ(b.answers(), "E(FATAL 28P01 no) closed");
    EXPECT_EQ(world.client().take_raw(), "");
    FakeClient& cached = world.connect_client().startup();
    EXPECT_EQ(cached.answer(),
              "E(FATAL 28P01 server login has been failing, cached error: no (server_login_retry)) closed");
    const auto tried = world.postgres.backends.size();
    world.postgres.method = Postgres::Method::trust;
    world.pass(seconds(16));
    FakeClient& later = world.client();
    EXPECT_EQ(later.query("mark l").answer(), row("l"));
    EXPECT_EQ(world.postgres.backends.size(), tried + 1);
}

TEST(sessions_limits, a_server_that_starts_up_is_waited_for) {
    World world;
    world.postgres.method = Postgres::Method::refuse_all;
    world.postgres.refusal_sqlstate = "57P03";
    world.start();
    FakeClient& client = world.connect_client().startup();
    EXPECT_EQ(client.answer(), "");
    world.postgres.method = Postgres::Method::trust;
    world.pass(seconds(16), 2);
    EXPECT_TRUE(client.answers().ends_with("K Z(I)"));
    EXPECT_EQ(client.query("mark a").answer(), row("a"));
}

/// A cluster's servers recover, or others take their place; a wrong password stays wrong.
TEST(sessions_limits, of_a_cluster_only_what_will_not_change_is_told_at_once) {
    for (const auto& [sqlstate, is_told] : {std::pair("53100", false),
                                            {"XX000", false},
                                            {"57P01", false},
                                            {"28P01", true},
                                            {"3D000", true},
                                            {"42501", true}}) {
        World world;
        world.config.follows_cluster = true;
        world.config.databases["db"].hosts.clear();
        world.listener.route = config::Route::primary;
        world.postgres.method = Postgres::Method::refuse_all;
        world.postgres.refusal_sqlstate = sqlstate;
        world.start();
        Orders orders;
        {
            const std::scoped_lock lock(world.hub->mutex);
            world.hub->set_places(config::Route::primary, {.all = {{.name = "pg-a", .host = "pg"}}, .epoch = 1},
                                  world.time, orders);
        }
        FakeClient& client = world.connect_client().startup();
        EXPECT_EQ(client.answer().starts_with("E(FATAL"), is_told) << sqlstate;
        if (is_told) continue;
        world.postgres.method = Postgres::Method::trust;
        world.pass(seconds(1), 2);
        EXPECT_TRUE(client.answers().ends_with("K Z(I)")) << sqlstate << ": " << client.answers();
    }
}

TEST(sessions_limits, nobody_at_home) {
    World world;
    world.postgres.unreachable = true;
    world.start();
    FakeClient& client = world.connect_client().startup();
    EXPECT_EQ(client.answer(), "") << "it waits";
    world.postgres.unreachable = false;
    world.pass(seconds(16), 2);
    EXPECT_TRUE(client.answers().ends_with("K Z(I)"));
}

TEST(sessions_limits, client_connections_are_counted) {
    World world;
    world.config.settings.max_client_conn = 2;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    FakeClient& c = world.connect_client().startup();
    EXPECT_EQ(c.answer(), "E(FATAL 53300 no more connections allowed (max_client_conn)) closed");
    a.leave();
    world.run();
    EXPECT_EQ(world.client().query("mark d").answer(), row("d"));
    EXPECT_EQ(b.query("mark b").answer(), row("b"));
    EXPECT_EQ(world.hub->clients, 2U);
}

TEST(sessions_limits, client_connections_of_a_database_and_a_user) {
    World world;
    world.config.settings.max_user_client_connections = 1;
    world.user("other", "x");
    world.config.databases["small"] = world.config.databases["db"];
    world.config.databases["small"].max_db_client_connections = 1;
    world.start();
    world.client(0, {}, "app", "small");
    EXPECT_EQ(world.connect_client().startup({}, "app").answer(),
              "E(FATAL 53300 client connections exceeded (max_user_client_connections)) closed");
    EXPECT_EQ(world.connect_client().startup({}, "other", "small").answer(),
              "E(FATAL 53300 client connections exceeded (max_db_client_connections)) closed");
    EXPECT_EQ(world.client(0, {}, "other").query("mark o").answer(), row("o"));
}

TEST(sessions_limits, an_idle_server_makes_room_for_another_user) {
    World world;
    world.config.settings.max_db_connections = 1;
    world.user("other", "x");
    world.start(2);
    FakeClient &a = world.client(0), &b = world.client(1, {}, "other");
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(a.query("mark a").answer(), row("a"));
        EXPECT_EQ(b.query("mark b").answer(), row("b"));
        EXPECT_EQ(world.postgres.sessions().size(), 1U);
    }
}

TEST(sessions_times, old_and_unused_servers_are_closed) {
    World world;
    world.config.settings.server_lifetime = seconds(100);
    world.config.settings.server_idle_timeout = seconds(30);
    world.start();
    FakeClient& client = world.client();
    for (int i = 0; i < 12; ++i) {
        EXPECT_EQ(client.query("mark a").answer(), row("a"));
        world.pass(seconds(10));
    }
    EXPECT_EQ(world.postgres.logins(), 2U) << "lifetime";
    world.pass(seconds(31));
    EXPECT_EQ(world.postgres.sessions().size(), 0U) << "unused";
    for (const auto& backend : world.postgres.backends) EXPECT_TRUE(backend->terminated);
}

TEST(sessions_times, old_servers_that_are_never_idle_are_closed_too) {
    World world;
    world.config.settings.server_lifetime = seconds(100);
    world.start();
    FakeClient& client = world.client();
    client.query("BEGIN").answer();
    world.pass(seconds(101));
    EXPECT_EQ(client.query("COMMIT").answer(), "C(COMMIT) Z(I)");
    client.query("BEGIN").answer();
    EXPECT_EQ(world.postgres.logins(), 2U);
}

TEST(sessions_times, some_servers_are_always_there) {
    World world;
    world.config.settings.default_pool_size = 5;
    world.config.settings.min_pool_size = 3;
    world.start(2);
    FakeClient& client = world.client(1);
    world.pass(seconds(10), 10);
    EXPECT_EQ(world.counts().idle, 3U);
    world.pass(seconds(2000), 4);
    EXPECT_EQ(world.counts().idle, 3U);
    EXPECT_EQ(client.query("mark a").answer(), row("a"));
}

TEST(sessions_times, idle_transactions_and_long_queries_end) {
    World world;
    world.config.settings.idle_transaction_timeout = seconds(5);
    world.config.settings.query_timeout = seconds(7);
    world.config.settings.default_pool_size = 3;
    world.start();
    FakeClient &idle = world.client(), &slow = world.client(), &copying = world.client();
    idle.query("BEGIN").answer();
    slow.query("sleep").answer();
    copying.query("BEGIN").query("COPY IN").copy_data("bad").copy_data("late").copy_done().answer();
    copying.copy_data("later still").answer();
    world.pass(seconds(6));
    EXPECT_EQ(idle.answers(), "E(FATAL 25P03 idle transaction timeout) closed");
    EXPECT_EQ(copying.answers(), "E(FATAL 25P03 idle transaction timeout) closed")
        << "what comes after the copy is no query";
    EXPECT_EQ(slow.answers(), "");
    world.pass(seconds(2));
    EXPECT_EQ(slow.answers(), "E(FATAL 57014 query timeout) closed");
}

TEST(sessions_modes, session_mode_keeps_the_server_and_resets_it) {
    World world;
    world.config.settings.pool_mode = config::PoolMode::session;
    world.start();
    FakeClient &a = world.client(), &b = world.connect_client().startup();
    EXPECT_EQ(a.query("SET application_name = 'a'").answer(), "C(SET) S(application_name=a) Z(I)");
    b.query("mark b");
    world.run();
    a.terminate();
    world.run();
    EXPECT_TRUE(b.answers().ends_with("Z(I) " + row("b")));
    Backend& server = world.postgres.only();
    EXPECT_EQ(server.log, (std::vector<string>{"Q SET application_name = 'a'", "Q DISCARD ALL", "Q mark b"}));
}

TEST(sessions_modes, statement_mode_knows_no_transactions) {
    World world;
    world.config.settings.pool_mode = config::PoolMode::statement;
    world.start();
    FakeClient& a = world.client();
    EXPECT_EQ(a.query("mark a").answer(), row("a"));
    EXPECT_EQ(a.query("BEGIN").answer(),
              "C(BEGIN) Z(T) E(FATAL 0A000 transaction blocks not allowed in statement pooling mode) closed");
    EXPECT_EQ(world.client().query("mark b").answer(), row("b"));
}

TEST(sessions_times, a_slow_reader_holds_the_server_back) {
    World world;
    world.client_room = world.server_room = 100;
    world.piece = 64;
    world.start();
    FakeClient& client = world.client();
    client.deaf = true;
    client.query("rows 1000 0123456789").answer();
    const auto held = world.wires.back()->unread();
    EXPECT_GT(held, 10'000U) << "what nobody takes stays at the server";
    client.deaf = false;
    const string all = client.answer();
    EXPECT_EQ(std::ranges::count(all, 'D'), 1000);
    EXPECT_TRUE(all.ends_with("C(SELECT 1000) Z(I)"));
}

TEST(sessions_times, a_client_held_back_by_a_copy_that_failed_goes_on) {
    World world;
    world.server_room = 50;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.query("COPY IN").answer(), "G");
    Backend& server = world.postgres.only();
    a.copy_data("bad");
    world.run();
    EXPECT_EQ(a.answers(), "E(ERROR 22P04 bad row) Z(I)");
    EXPECT_EQ(a.query("COPY IN").answer(), "G");
    server.deaf = true;
    a.copy_data(string(300, 'x')).answer();
    std::string error;
    pgwire::Writer writer(error);
    pgwire::backend::write_error_response(writer, {pgwire::backend::Severity::error, "57014", "cancelled", "", ""});
    pgwire::backend::write_ready_for_query(writer, pgwire::backend::TransactionStatus::idle);
    server.say(error);
    EXPECT_EQ(a.answer(), "E(ERROR 57014 cancelled) Z(I)");
    server.die();
    world.run();
    EXPECT_EQ(a.query("mark a").answer(), row("a")) << "its wire is read again";
    EXPECT_EQ(b.query("mark b").answer(), row("b"));
}

}  // namespace
}  // namespace pgkeel::pool
