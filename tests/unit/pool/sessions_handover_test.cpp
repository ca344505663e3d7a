#include "sessions_world.hpp"

#include <gtest/gtest.h>

// Sessions that go to another process. It is another world here, with wires of the first one: what they are connected
// to notices nothing.

namespace pgkeel::pool {
namespace {

using std::string;

/// Two processes: what leaves the one arrives at the other.
struct Processes {
    World before, after;
    Processes() {
        // Names of the one's statements are none of the other's.
        for (World* const world : {&before, &after}) world->config.settings.max_prepared_statements = 10;
    }
    void start(std::size_t threads = 1) {
        before.start(threads);
        after.start(threads);
        after.hub->statements.begin_generation(1);
    }
    void leave() {
        for (auto& worker : before.workers) {
            worker->set_leaving(true);
            worker->offer_all();
        }
        before.flush();
        before.run();
    }
    /// Returns how many came.
    std::size_t arrive() {
        std::size_t count = 0;
        for (const World::Departed& session : before.departed)
            if (const auto done = after.arrive(session, count % after.workers.size()); done) ++count;
        before.departed.clear();
        return count;
    }
    /// Wires belong to the first world, so both have to go on.
    string answer(FakeClient& client) {
        for (int i = 0; i < 20; ++i) {
            before.run();
            after.run();
        }
        return client.answers();
    }
    string troubles() const { return before.troubles() + after.troubles(); }
};

TEST(sessions_handover, an_idle_client_goes_on_with_its_settings_and_statements) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client(0, {{"application_name", "test"}});
    client.query("SET search_path = one").answer();
    client.parse("s", "mark 1").bind("s").execute().sync().answer();
    both.leave();
    ASSERT_EQ(both.before.departed.size(), 2U) << "the client and its pool's idle server";
    EXPECT_EQ(both.before.counts(), Book::Counts{});
    EXPECT_EQ(both.arrive(), 2U);
    EXPECT_EQ(both.after.counts(), (Book::Counts{.idle = 1}));
    client.query("SHOW search_path");
    EXPECT_EQ(both.answer(client), "T D(one) C(SHOW) Z(I)");
    client.bind("s").execute().sync();
    EXPECT_EQ(both.answer(client), "2 D(1) C(SELECT 1) Z(I)");
    EXPECT_EQ(both.before.postgres.logins(), 1U);
    EXPECT_EQ(both.after.postgres.logins(), 0U) << "it has the server of the first one";
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, names_of_new_statements_are_new_on_a_server_that_came_along) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client();
    client.parse("a", "mark 1").sync().answer();
    both.leave();
    both.arrive();
    client.parse("b", "mark 2").bind("b").execute().bind("a").execute().sync();
    EXPECT_EQ(both.answer(client), "1 2 D(2) C(SELECT 1) 2 D(1) C(SELECT 1) Z(I)");
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, a_client_in_a_transaction_stays_until_it_is_over) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client();
    client.query("BEGIN").answer();
    both.leave();
    EXPECT_EQ(both.before.departed.size(), 0U);
    client.query("mark 1").answer();
    EXPECT_EQ(both.before.departed.size(), 0U);
    EXPECT_EQ(client.query("COMMIT").answer(), "C(COMMIT) Z(I)");
    EXPECT_EQ(both.before.departed.size(), 2U) << "at once, and its server with it";
    both.arrive();
    client.query("mark 1");
    EXPECT_EQ(both.answer(client), "T D(1) C(SELECT 1) Z(I)");
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, in_session_mode_the_server_goes_with_its_client) {
    Processes both;
    for (World* const world : {&both.before, &both.after}) world->config.settings.pool_mode = config::PoolMode::session;
    both.start();
    FakeClient& client = both.before.client();
    client.query("SET search_path = one").answer();
    client.parse("mine", "mark 7").sync().answer();
    both.leave();
    ASSERT_EQ(both.before.departed.size(), 1U);
    EXPECT_EQ(both.arrive(), 1U);
    EXPECT_EQ(both.after.counts(), (Book::Counts{.active = 1}));
    client.bind("mine").execute().sync();
    EXPECT_EQ(both.answer(client), "2 D(7) C(SELECT 1) Z(I)");
    client.query("SHOW search_path");
    EXPECT_EQ(both.answer(client), "T D(one) C(SHOW) Z(I)");
    client.terminate();
    both.answer(client);
    EXPECT_EQ(both.after.counts(), (Book::Counts{.idle = 1})) << "it was reset, and serves others";
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, a_client_that_keeps_its_server_still_keeps_it) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client();
    client.query("LISTEN news").answer();
    ASSERT_FALSE(client.session->pins().none());
    both.leave();
    ASSERT_EQ(both.before.departed.size(), 1U);
    both.arrive();
    EXPECT_EQ(both.after.counts(), (Book::Counts{.active = 1}));
    client.query("UNLISTEN *");
    EXPECT_EQ(both.answer(client), "C(UNLISTEN) Z(I)");
    EXPECT_EQ(both.after.counts(), (Book::Counts{.idle = 1}));
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, a_session_that_is_not_confirmed_is_whole_where_it_was) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client();
    client.query("SET search_path = one").answer();
    both.leave();
    const auto sessions = std::exchange(both.before.departed, {});
    client.query("SHOW search_path");  // it may have asked already
    for (const auto& session : sessions) {
        const auto done = both.after.arrive(session, 0, [] { return false; });
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, Errc::cancelled);
    }
    EXPECT_EQ(both.after.hub->clients, 0U);
    EXPECT_EQ(both.after.counts(), Book::Counts{});
    for (auto& worker : both.before.workers) worker->set_leaving(false);
    for (const auto& session : sessions) EXPECT_TRUE(both.before.arrive(session));
    EXPECT_EQ(both.answer(client), "T D(one) C(SHOW) Z(I)");
    EXPECT_EQ(both.before.hub->clients, 1U);
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, a_database_that_is_not_there_any_more_is_a_refusal) {
    Processes both;
    both.after.config.databases.clear();
    both.start();
    both.before.client();
    both.leave();
    ASSERT_FALSE(both.before.departed.empty());
    for (const auto& session : both.before.departed) {
        const auto done = both.after.arrive(session);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, Errc::not_found);
    }
}

TEST(sessions_handover, a_server_that_would_be_made_otherwise_now_is_not_used) {
    Processes both;
    both.after.config.databases["db"].hosts = {"other"};
    both.start();
    FakeClient& client = both.before.client();
    client.query("mark 1").answer();
    both.leave();
    EXPECT_EQ(both.arrive(), 1U) << "the client alone";
    client.query("mark 1");
    EXPECT_EQ(both.answer(client), "T D(1) C(SELECT 1) Z(I)");
    EXPECT_EQ(both.after.postgres.logins(), 1U);
}

TEST(sessions_handover, limits_hold_for_idle_servers_that_come) {
    Processes both;
    both.before.config.settings.default_pool_size = 3;
    both.start(2);
    FakeClient &a = both.before.client(0), &b = both.before.client(1), &c = both.before.client(0);
    for (FakeClient* const client : {&a, &b, &c}) client->query("BEGIN").answer();
    for (FakeClient* const client : {&a, &b, &c}) client->query("COMMIT").answer();
    ASSERT_EQ(both.before.counts().idle, 3U);
    both.leave();
    ASSERT_EQ(both.before.departed.size(), 6U);
    EXPECT_EQ(both.arrive(), 4U) << "three clients, and one server: the pool may have no more now";
    EXPECT_EQ(both.after.counts(), (Book::Counts{.idle = 1}));
    for (FakeClient* const client : {&a, &b, &c}) {
        client->query("mark 1");
        EXPECT_EQ(both.answer(*client), "T D(1) C(SELECT 1) Z(I)");
    }
    EXPECT_EQ(both.troubles(), "");
}

TEST(sessions_handover, a_new_client_is_told_what_servers_report) {
    Processes both;
    both.start();
    both.before.client().query("mark 1").answer();
    both.leave();
    both.arrive();
    FakeClient& fresh = both.after.client();
    EXPECT_TRUE(fresh.parameters.contains("server_version"));
    EXPECT_EQ(both.after.postgres.logins(), 0U);
}

TEST(sessions_handover, its_cancel_key_stays_and_unknown_ones_are_asked_elsewhere) {
    Processes both;
    both.start();
    FakeClient& client = both.before.client();
    const string key = client.key;
    both.leave();
    both.arrive();
    EXPECT_TRUE(both.after.hub->cancel_keys.contains(Hub::cancel_key_of(key)));
    EXPECT_FALSE(both.before.hub->cancel_keys.contains(Hub::cancel_key_of(key)));
    EXPECT_FALSE(both.before.workers[0]->cancel(Hub::cancel_key_of(key), 5));
    EXPECT_TRUE(both.after.workers[0]->cancel(Hub::cancel_key_of(key), 5));
    both.after.run();
    EXPECT_EQ(both.after.cancels_done, std::vector<std::uint32_t>{5});
}

TEST(sessions_handover, whoever_is_just_logging_in_goes_afterwards) {
    Processes both;
    both.start();
    both.before.workers[0]->set_leaving(true);
    FakeClient& client = both.before.client();
    client.answer();
    both.before.run();
    ASSERT_GE(both.before.departed.size(), 1U);
    both.arrive();
    client.query("mark 1");
    EXPECT_EQ(both.answer(client), "T D(1) C(SELECT 1) Z(I)");
    EXPECT_EQ(both.troubles(), "");
}

}  // namespace
}  // namespace pgkeel::pool
