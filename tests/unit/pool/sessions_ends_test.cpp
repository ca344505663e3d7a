#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <utility>

// COPY that goes wrong, and who goes when.

namespace pgkeel::pool {
namespace {

using std::string;
using namespace std::string_literals;

constexpr const char* in_doubt =
    "E(ERROR 08007 the transaction is committed on the primary, and no synchronous standby has confirmed it)";

TEST(sessions_doubt, a_commit_that_no_standby_has_confirmed_is_no_success) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.query("unconfirmed").answer(), in_doubt + " Z(I)"s);
    EXPECT_EQ(a.parse("", "unconfirmed").bind("").execute().sync().answer(), "1 2 "s + in_doubt + " Z(I)");
    EXPECT_EQ(a.query("unconfirmed; mark x; notice y").answer(), in_doubt + " Z(I)"s);
    EXPECT_EQ(b.query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)") << "the next one is not concerned";
    EXPECT_EQ(a.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_doubt, leaves_no_copy_waiting_for_a_client_that_knows_nothing_of_it) {
    World world;
    world.start();
    FakeClient& a = world.client();
    const string answer = a.query("unconfirmed; COPY IN").answer();
    EXPECT_TRUE(answer.starts_with(in_doubt)) << answer;
    EXPECT_TRUE(answer.ends_with(" Z(I)")) << answer;
    EXPECT_EQ(a.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_doubt, is_a_warning_where_pgbouncer_is_wanted) {
    World world;
    world.config.settings.pgbouncer_compat = true;
    world.start();
    const string answer = world.client().query("unconfirmed").answer();
    EXPECT_TRUE(answer.ends_with(" C(COMMIT) Z(I)")) << answer;
    EXPECT_TRUE(answer.starts_with("N(")) << answer;
}

constexpr const char* given_up =
    "E(FATAL 08007 a cancel request may have ended a commit's wait for a synchronous standby) closed";

class Suspicion : public ::testing::Test {
  protected:
    void SetUp() override {
        world.config.settings.default_pool_size = 1;
        world.start();
        client = &world.client();
    }
    void cancel() {
        FakeClient& asker = world.connect_client(0);
        asker.send("\0\0\0\x10\x04\xd2\x16\x2e"s + client->key);
        world.run();
    }
    World world;
    FakeClient* client = nullptr;
};

TEST_F(Suspicion, a_commit_that_a_cancel_may_have_hit_is_told_when_another_behind_it_is_confirmed) {
    world.postgres.standby_is_away = true;
    client->query("write").answer();
    cancel();
    EXPECT_EQ(client->answer(), "") << "the server has said that it is done";
    world.postgres.only().wake();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) Z(I)");
    EXPECT_EQ(client->query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 1U);
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, and_when_that_is_not_confirmed_either_it_is_an_error) {
    world.postgres.standby_is_away = true;
    client->query("write").answer();
    cancel();
    cancel();
    EXPECT_EQ(client->answer(), in_doubt + " Z(I)"s);
    EXPECT_EQ(client->parse("", "write").bind("").execute().sync().answer(), "1 2");
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1)") << "the end of an Execute is not yet the end of its transaction";
    cancel();
    EXPECT_EQ(client->answer(), in_doubt + " Z(I)"s);
    EXPECT_EQ(client->query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, nothing_is_asked_where_nothing_was_committed) {
    client->query("sleep").answer();
    cancel();
    EXPECT_EQ(client->answer(), "E(ERROR 57014 canceling statement due to user request) Z(I)");
    client->query("BEGIN").query("write").answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) Z(T)");
    EXPECT_EQ(client->query("ROLLBACK").answer(), "C(ROLLBACK) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 0U);
}

TEST_F(Suspicion, what_the_client_asks_meanwhile_is_answered_behind_it) {
    world.postgres.standby_is_away = true;
    client->query("write").answer();
    cancel();
    client->query("mark a");
    EXPECT_EQ(client->answer(), "");
    world.postgres.only().wake();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) Z(I) T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, nothing_overtakes_it) {
    EXPECT_EQ(client->parse("s", "mark s").sync().answer(), "1 Z(I)");
    world.postgres.standby_is_away = true;
    client->query("write").parse("s", "mark s").sync().parse("s", "mark other").sync().answer();
    cancel();
    EXPECT_EQ(client->answer(), "");
    world.postgres.only().wake();
    EXPECT_EQ(client->answer(),
              "C(INSERT 0 1) Z(I) E(ERROR 42P05 prepared statement \"s\" already exists) Z(I) "
              "E(ERROR 42P05 prepared statement \"s\" already exists) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, the_end_of_the_cancel_request_is_waited_for) {
    world.postgres.hold_cancels = true;
    client->query("write").answer();
    cancel();
    EXPECT_EQ(client->answer(), "");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 0U) << "the signal might hit what is asked";
    client->query("mark a");
    EXPECT_EQ(client->answer(), "");
    world.postgres.let_cancels_go();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) Z(I) T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
}

TEST_F(Suspicion, of_several_requests_nobody_can_tell_which_was_hit) {
    world.postgres.standby_is_away = true;
    client->query("write").query("mark a").answer();
    cancel();
    EXPECT_EQ(client->answer(), "");
    cancel();
    EXPECT_EQ(client->answer(), given_up);
    world.postgres.standby_is_away = false;
    EXPECT_EQ(world.client().query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)");
}

TEST_F(Suspicion, a_transaction_that_has_begun_behind_it_cannot_be_told_of) {
    client->query("write; COMMIT; BEGIN; mark a").answer();
    cancel();
    EXPECT_EQ(client->answer(), given_up);
}

TEST_F(Suspicion, more_than_can_be_kept_is_told_as_long_as_nothing_is_committed) {
    client->query("write; rows 5000 a_rather_long_value_in_every_row").answer();
    cancel();
    const string answer = client->answer();
    EXPECT_TRUE(answer.starts_with("C(INSERT 0 1) T D(a_rather")) << answer.substr(0, 100);
    EXPECT_TRUE(answer.ends_with("C(SELECT 5000) Z(I)"));
    EXPECT_EQ(world.postgres.asked_for_confirmation, 1U);
    client->query("write; COMMIT; rows 5000 a_rather_long_value_in_every_row").answer();
    cancel();
    EXPECT_EQ(client->answer(), given_up);
}

TEST_F(Suspicion, a_commit_in_a_pipeline_is_not_told_before_its_end) {
    client->query("BEGIN").answer();
    client->parse("", "write").bind("").execute().parse("", "COMMIT").bind("").execute().sync().answer();
    cancel();
    world.postgres.standby_is_away = true;
    EXPECT_EQ(client->answers(), "C(INSERT 0 1) 1 2 C(COMMIT) Z(I)") << "nobody was away";
    client->query("BEGIN").answer();
    client->parse("", "write").bind("").execute().parse("", "COMMIT").bind("").execute().sync().answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) 1 2");
    cancel();
    EXPECT_EQ(client->answer(), in_doubt + " Z(I)"s);
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, a_commit_that_the_client_may_wait_for_before_it_sends_a_sync_is_given_up) {
    client->query("BEGIN").answer();
    client->parse("", "write").bind("").execute().parse("", "COMMIT").bind("").execute().flush().answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) 1 2 "s + given_up);
}

TEST_F(Suspicion, nor_is_a_request_behind_it_without_a_sync_waited_for) {
    client->query("write").parse("", "mark a").bind("").execute().flush().answer();
    cancel();
    EXPECT_EQ(client->answer(), given_up);
}

TEST_F(Suspicion, a_commit_whose_next_transaction_has_begun_in_a_pipeline_is_given_up) {
    client->query("BEGIN").answer();
    client->parse("", "write").bind("").execute().parse("", "COMMIT").bind("").execute();
    client->parse("", "BEGIN").bind("").execute().sync().answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) 1 2 "s + given_up);
}

// In whatever order the end of the cancel requests and the server's answers are seen.
TEST_F(Suspicion, an_error_before_it_in_the_pipeline_acquits_nobody) {
    world.postgres.standby_is_away = true;
    for (world.seed = 1; world.seed <= 200; ++world.seed) {
        client = &world.client();
        client->query("sleep").query("write").answer();
        world.postgres.hold_cancels = world.postgres.signal_late = true;
        cancel();
        cancel();
        world.postgres.let_cancels_go();  // one hits the sleep, one the write
        const string answer = client->answer();
        EXPECT_TRUE(answer.starts_with("E(ERROR 57014 ")) << answer;
        EXPECT_FALSE(answer.contains("INSERT")) << "seed " << world.seed << ": " << answer;
        client->leave();
        world.run();
        if (HasFailure()) return;
    }
}

TEST_F(Suspicion, nothing_is_put_into_a_message_of_the_client) {
    client->query("write").answer();
    client->collect();
    client->copy_data(string(100, 'x'));
    const string late = client->collected();
    client->send(late.substr(0, 50));
    world.run();
    cancel();
    EXPECT_EQ(client->answer(), "");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 0U);
    client->send(late.substr(50));
    EXPECT_EQ(client->query("mark a").answer(), "C(INSERT 0 1) Z(I) T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 1U);
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, what_the_session_has_reported_is_told_with_the_error_too) {
    world.postgres.standby_is_away = true;
    client->query("SET application_name = 'mine'; write").answer();
    cancel();
    cancel();
    EXPECT_EQ(client->answer(), "S(application_name=mine) "s + in_doubt + " Z(I)");
    EXPECT_EQ(client->parameters["application_name"], "mine");
}

TEST_F(Suspicion, the_unnamed_statement_stays) {
    world.config.settings.pool_mode = config::PoolMode::session;
    world.reconfigure();
    FakeClient& other = world.client();
    client->leave();
    client = &other;
    EXPECT_EQ(client->parse("", "mark kept").sync().answer(), "1 Z(I)");
    client->parse("s", "write").bind("s").execute().sync().answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) Z(I)");
    EXPECT_EQ(client->bind("").execute().sync().answer(), "2 D(kept) C(SELECT 1) Z(I)");
}

TEST_F(Suspicion, a_cancel_request_that_hangs_keeps_its_server_from_others) {
    world.postgres.hold_cancels = world.postgres.signal_late = true;
    client->query("write").answer();
    cancel();
    world.postgres.only().wake();
    EXPECT_EQ(client->answer(), "");
    world.pass(std::chrono::seconds(11));
    EXPECT_EQ(client->answer(), given_up);
    EXPECT_EQ(world.client().query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 2U);
}

TEST_F(Suspicion, a_server_that_dies_meanwhile_has_confirmed_nothing) {
    world.postgres.standby_is_away = true;
    client->query("write").answer();
    cancel();
    world.postgres.only().say_fatal("57P01", "terminating connection due to administrator command");
    EXPECT_EQ(client->answer(), "E(FATAL 08006 server conn crashed?) closed");
    client = &world.client();
    world.postgres.hold_cancels = true;
    client->query("write").answer();
    cancel();
    world.postgres.only().say_fatal("57P01", "terminating connection due to administrator command");
    EXPECT_EQ(client->answer(), "E(FATAL 08006 server conn crashed?) closed") << "while the cancel request is not over";
}

TEST_F(Suspicion, a_client_that_leaves_meanwhile_leaves_nothing_behind) {
    world.postgres.hold_cancels = true;
    client->query("write").answer();
    cancel();
    client->leave();
    world.run();
    world.postgres.let_cancels_go();
    EXPECT_EQ(world.client().query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 0U);
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(Suspicion, copies_begin_where_nothing_is_committed_yet) {
    client->query("write; COPY IN").answer();
    cancel();
    EXPECT_EQ(client->answer(), "C(INSERT 0 1) G");
    EXPECT_EQ(client->copy_data("x").copy_done().answer(), "C(COPY 1) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 1U);
    EXPECT_EQ(client->query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.asked_for_confirmation, 1U) << "once";
}

TEST(sessions_copy, data_that_comes_late_harms_nobody) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    EXPECT_EQ(a.query("COPY IN").answer(), "G");
    EXPECT_EQ(a.copy_data("bad").answer(), "E(ERROR 22P04 bad row) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(b.query("BEGIN").answer(), "C(BEGIN) Z(T)");
    EXPECT_EQ(a.copy_data("more").copy_data("bad").copy_done().answer(), "");
    EXPECT_EQ(b.query("mark b").query("COMMIT").answer(), "T D(b) C(SELECT 1) Z(T) C(COMMIT) Z(I)");
    EXPECT_EQ(a.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_copy, the_server_waits_for_the_rest_of_a_message) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.collect();
    a.copy_data(string(100, 'x'));
    const string late = a.collected();
    EXPECT_EQ(a.query("COPY IN").answer(), "G");
    a.copy_data("bad");
    a.send(late.substr(0, 50));
    EXPECT_EQ(a.answer(), "E(ERROR 22P04 bad row) Z(I)");
    b.query("mark b");
    EXPECT_EQ(b.answer(), "") << "the server still waits for half a message";
    a.send(late.substr(50));
    a.copy_data("x").copy_done();
    EXPECT_EQ(b.answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(a.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_copy, who_leaves_in_the_middle_of_a_message_takes_the_server_along) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.collect();
    a.copy_data(string(100, 'x'));
    const string late = a.collected();
    a.query("COPY IN").copy_data("bad");
    a.send(late.substr(0, 50));
    EXPECT_EQ(a.answer(), "G E(ERROR 22P04 bad row) Z(I)");
    a.leave();
    EXPECT_EQ(b.query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 2U);
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_copy, nor_is_garbage_behind_half_a_message_a_way_out) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client();
    a.collect();
    a.copy_data(string(100, 'x'));
    const string late = a.collected();
    a.query("COPY IN").copy_data("bad");
    a.send(late.substr(0, 50));
    EXPECT_EQ(a.answer(), "G E(ERROR 22P04 bad row) Z(I)");
    a.send(late.substr(50) + "p\0\0\0\4"s);
    a.answer();
    EXPECT_TRUE(a.closed);
    EXPECT_EQ(b.query("mark b").answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_copy, an_early_error_in_a_pipeline) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parse("", "COPY IN").bind("").execute().flush().answer(), "1 2 G");
    EXPECT_EQ(client.copy_data("bad").copy_data("late").answer(), "E(ERROR 22P04 bad row)");
    EXPECT_EQ(client.copy_done().sync().answer(), "Z(I)");
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
}

TEST(sessions_copy, a_sync_during_it_is_ignored) {
    World world;
    world.start();
    FakeClient& client = world.client();
    EXPECT_EQ(client.parse("", "COPY IN").bind("").execute().sync().answer(), "1 2 G");
    EXPECT_EQ(client.sync().copy_data("x").answer(), "");
    EXPECT_EQ(client.copy_done().sync().answer(), "C(COPY 1) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
    EXPECT_EQ(client.query("COPY IN").sync().copy_data("x").copy_done().answer(), "G C(COPY 1) Z(I)");
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 1U);
}

TEST(sessions_copy, a_sync_that_may_be_answered_or_not_is_no_trap_for_the_next_client) {
    World world;
    world.start();
    FakeClient &a = world.client(), &b = world.client(), &c = world.client();
    EXPECT_EQ(a.query("COPY IN").answer(), "G");
    b.query("mark b");
    c.query("mark c");
    world.run();
    EXPECT_EQ(world.counts().waiting, 2U);
    // The server fails at the data, and then answers the Sync.
    a.copy_data("bad").sync();
    world.run();
    EXPECT_EQ(a.answers().substr(0, 30), "E(ERROR 22P04 bad row) Z(I)"s);
    EXPECT_EQ(b.answers(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(c.answers(), "T D(c) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.counts().active, 0U);
}

TEST(sessions_ends, a_client_may_leave_at_any_time) {
    World world;
    world.start();
    FakeClient& idle = world.client();
    FakeClient& busy = world.client();
    FakeClient& waiting = world.client();
    busy.query("BEGIN").query("mark b").answer();
    waiting.query("mark w").answer();
    EXPECT_EQ(world.counts().waiting, 1U);
    waiting.leave();
    idle.leave();
    world.run();
    EXPECT_EQ(world.counts().waiting, 0U);
    Backend& server = world.postgres.only();
    EXPECT_EQ(server.status(), 'T');
    busy.leave();
    world.run();
    EXPECT_EQ(server.log.back(), "Q ROLLBACK");
    EXPECT_EQ(world.counts(), (Book::Counts{.idle = 1, .active = 0, .logging_in = 0, .waiting = 0}));
    FakeClient& next = world.client();
    EXPECT_EQ(next.query("mark n").answer(), "T D(n) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 1U);

    next.query("sleep").answer();
    next.leave();
    world.run();
    EXPECT_EQ(world.postgres.sessions().size(), 0U) << "it is in the middle of a query";
    EXPECT_EQ(world.client().query("mark x").answer(), "T D(x) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.clients.size(), 5U);
}

TEST(sessions_ends, a_server_may_die_at_any_time) {
    World world;
    world.start();
    FakeClient& client = world.client();
    world.postgres.only().die();
    world.run();
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)") << "it was idle: nobody notices";
    client.query("BEGIN").answer();
    world.postgres.only().die();
    EXPECT_EQ(client.answer(), "E(FATAL 08006 server conn crashed?) closed");
    EXPECT_EQ(world.client().query("fatal 57P01").answer(), "E(FATAL 57P01 terminating connection as asked) closed");
    EXPECT_EQ(world.client().parse("", "fatal 57P01").bind("").execute().sync().answer(),
              "1 2 E(FATAL 57P01 terminating connection as asked) closed");
    FakeClient& last = world.client();
    EXPECT_EQ(last.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    world.postgres.only().say_fatal("57P01", "shutting down");
    world.run();
    EXPECT_EQ(last.answers(), "");
    EXPECT_EQ(last.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.troubles(), "");
}

TEST(sessions_ends, a_server_is_tested_after_a_long_rest) {
    World world;
    world.config.settings.server_check_query = "mark test";
    world.config.settings.server_idle_timeout = {};
    world.start();
    FakeClient &client = world.client(), &other = world.client();
    world.time += std::chrono::seconds(31);
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.only().log.front(), "Q mark test");
    world.time += std::chrono::seconds(31);
    world.postgres.only().deaf = true;
    client.query("mark a").answer();
    Backend& dying = world.postgres.only();
    client.leave();
    world.run();
    other.query("mark o").answer();
    dying.deaf = false;
    world.run();
    EXPECT_EQ(other.answers(), "T D(o) C(SELECT 1) Z(I)") << "whom it was tested for has left";
    world.time += std::chrono::seconds(31);
    dying.deaf = true;
    other.query("mark again").answer();
    dying.die();
    EXPECT_EQ(other.answer(), "T D(again) C(SELECT 1) Z(I)") << "another was found";
}

TEST(sessions_ends, everybody_may_go_at_every_moment) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        World world;
        world.seed = seed;
        world.piece = 1 + seed % 50;
        world.client_room = world.server_room = 5 + seed % 100;
        world.config.settings.default_pool_size = 2;
        world.config.settings.server_check_delay = std::chrono::seconds(seed % 2);
        world.config.settings.server_check_query = "<empty>";
        world.config.settings.pool_mode = seed % 4 == 0 ? config::PoolMode::session : config::PoolMode::transaction;
        const std::size_t workers = 1 + seed % 3;
        world.start(workers);
        for (int i = 0; i < 60; ++i) {
            switch (world.pick(8)) {
                case 0:
                    world.connect_client(world.pick(workers)).startup({{"application_name", std::to_string(i)}});
                    break;
                case 1:
                    if (!world.postgres.backends.empty()) {
                        auto backend = world.postgres.backends.begin();
                        std::advance(backend, world.pick(world.postgres.backends.size()));
                        if ((*backend)->wire != nullptr) (*backend)->die();
                    }
                    break;
                case 2:
                    world.pass(std::chrono::milliseconds(world.pick(3000)));
                    break;
                default:
                    if (world.clients.empty()) break;
                    auto client = world.clients.begin();
                    std::advance(client, world.pick(world.clients.size()));
                    switch (world.pick(8)) {
                        case 0:
                            (*client)->leave();
                            break;
                        case 6:
                            (*client)->query("write");
                            break;
                        case 7:
                            if ((*client)->key.size() != 8) break;
                            world.connect_client(world.pick(workers))
                                .send("\0\0\0\x10\x04\xd2\x16\x2e"s + (*client)->key);
                            break;
                        case 1:
                            (*client)->query("BEGIN");
                            break;
                        case 2:
                            (*client)->query("mark x; COPY IN").copy_data("bad").copy_data("more").copy_done();
                            break;
                        case 3:
                            (*client)->query("ROLLBACK").terminate();
                            break;
                        case 4:
                            (*client)->query("fatal 57P01");
                            break;
                        default:
                            (*client)->parse("s", "mark $1").bind("s", "v").execute().sync();
                    }
            }
            for (std::size_t steps = world.pick(40); steps > 0; --steps) world.step();
        }
        world.run();
        for (auto& client : world.clients) client->leave();
        world.run();
        // Whose server takes no more is not read, and its end is not seen.
        for (bool slept = true; std::exchange(slept, false);) {
            for (Backend* const backend : world.postgres.sessions()) {
                slept |= backend->sleeps();
                backend->wake();
            }
            world.run();
        }
        // After a login that has failed, the next is tried when server_login_retry is over.
        world.pass(std::chrono::seconds(60), 6);
        const Book::Counts counts = world.counts();
        EXPECT_EQ(counts.active, 0U) << "seed " << seed;
        EXPECT_EQ(counts.waiting, 0U) << "seed " << seed;
        EXPECT_EQ(world.troubles(), "") << "seed " << seed;
        EXPECT_EQ(world.hub->clients, 0U) << "seed " << seed;
        FakeClient& last = world.client();
        EXPECT_EQ(last.query("mark end").answer(), "T D(end) C(SELECT 1) Z(I)") << "seed " << seed;
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace pgkeel::pool
