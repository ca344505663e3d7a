#include "support/postgres.hpp"
#include "async/spawn.hpp"
#include "base/socket_directory.hpp"
#include "postgres/postmaster.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <fstream>

// One node's server as the agent drives it, on a real PostgreSQL.

namespace pgkeel::postgres {
namespace {

using namespace std::chrono_literals;

struct server : testing::Test {
    std::unique_ptr<test::Node> node(const std::string& name) {
        return std::make_unique<test::Node>(loop, workers, folder.path(), name);
    }
    std::unique_ptr<test::Node> primary(const std::string& name) {
        auto made = node(name);
        test::Node& n = *made;
        const auto ok = [](const Result<>& result) { EXPECT_TRUE(result) << result.error().line(); };
        ok(loop.run(n.server->create_cluster()));
        ok(loop.run(n.server->start({.as_primary = true, .source = {}})));
        ok(loop.run(n.server->finish_bootstrap()));
        ok(loop.run(n.server->apply_configuration(
            R"({"postgresql": {"use_pg_rewind": true, "parameters": {"max_connections": 50}}})", false)));
        return made;
    }
    std::unique_ptr<test::Node> standby(test::Node& of, const std::string& name) {
        auto made = node(name);
        test::Node& n = *made;
        const auto ok = [](const Result<>& result) { EXPECT_TRUE(result) << result.error().line(); };
        ok(loop.run(of.server->create_slot(name)));
        ok(loop.run(n.server->clone(of.member())));
        ok(loop.run(n.server->start({.as_primary = false, .source = of.source(name)})));
        n.observe_until([](const ServerState& state) { return state.replication_state == "streaming"; });
        return made;
    }
    Result<Lsn> stop(test::Node& n) {
        return loop.run(n.server->stop({.mode = StopMode::fast, .timeout = 30s, .on_shut_down = {}}));
    }

    test::Folder folder;
    test::EventLoop loop;
    Workers workers{3};
};

TEST_F(server, a_new_cluster_is_created_started_seen_and_stopped) {
    const auto a = primary("a");
    ServerState state = a->observe();
    EXPECT_EQ(state.data_directory, DataDirectory::present);
    EXPECT_EQ(state.postmaster, Postmaster::running);
    EXPECT_TRUE(state.is_primary());
    EXPECT_FALSE(state.query_failed);
    EXPECT_EQ(state.timeline, Timeline{1});
    EXPECT_GT(state.written, Lsn{0x1000000});
    EXPECT_EQ(state.version_number / 10000, 15);
    EXPECT_EQ(state.postmaster_start_time.size(), 32U) << state.postmaster_start_time;
    EXPECT_EQ(state.port, a->agent.postgresql.listen_port);
    EXPECT_EQ(state.unix_socket, folder.path());
    EXPECT_EQ(state.unix_socket_id, socket_directory_id(folder.path()));
    EXPECT_EQ(a->ask("SELECT system_identifier FROM pg_control_system()"), state.system_identifier);
    EXPECT_EQ(a->ask("SELECT rolreplication FROM pg_roles WHERE rolname = 'replicator'"), "t");

    const auto stopped = stop(*a);
    ASSERT_TRUE(stopped) << stopped.error().line();
    state = a->observe();
    EXPECT_EQ(state.postmaster, Postmaster::absent);
    EXPECT_EQ(state.unix_socket, "");
    EXPECT_EQ(state.unix_socket_id, "");
    ASSERT_TRUE(state.control);
    EXPECT_EQ(state.control->state, ControlState::shut_down);
    EXPECT_EQ(state.control->checkpoint, *stopped);
    EXPECT_TRUE(state.control->data_checksums);
}

TEST_F(server, a_search_path_that_somebody_set_does_not_reach_our_sessions) {
    const auto a = primary("a");
    a->ask("ALTER ROLE postgres SET search_path = evil, pg_catalog");
    EXPECT_EQ(a->ask("SHOW search_path"), "pg_catalog,pg_temp");
}

TEST_F(server, a_restarted_agent_adopts_the_server_and_hears_of_its_end) {
    const auto a = primary("a");
    const int pid = a->observe().postmaster_pid;
    a->adopt();
    bool ended = false;
    a->server->on_exit([&] { ended = true; });
    EXPECT_EQ(a->observe().postmaster_pid, pid);
    EXPECT_EQ(loop.run(a->server->start({.as_primary = true, .source = {}})).error().code, Errc::already_exists);
    const Instant killed = loop.clock.now();
    kill(pid, SIGKILL);
    EXPECT_TRUE(loop.until([&] { return ended; }, 2s));
    EXPECT_LT(loop.clock.now() - killed, 100ms);
    loop.run(a->server->kill_everything());
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = true, .source = {}})));
    EXPECT_TRUE(a->observe().is_primary());
}

TEST_F(server, an_adopted_standby_keeps_streaming_through_a_new_configuration) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    const std::string conninfo = b->observe().primary_conninfo;
    ASSERT_FALSE(conninfo.empty());
    b->adopt();
    PGKEEL_ASSERT_OK(
        loop.run(b->server->apply_configuration(R"({"postgresql": {"parameters": {"work_mem": "7MB"}}})", false)));
    b->observe();
    ASSERT_TRUE(loop.until([&] { return b->ask("SHOW work_mem") == "7MB"; }, 5s));
    const ServerState state = b->observe();
    EXPECT_EQ(state.primary_conninfo, conninfo);
    EXPECT_EQ(state.primary_slot_name, "b");
    EXPECT_EQ(state.replication_state, "streaming");
}

/// A backend that is busy with one long statement does not notice that its postmaster died, and would commit it.
TEST_F(server, nothing_commits_after_everything_was_killed) {
    const auto a = primary("a");
    a->ask("CREATE TABLE public.t (n int)");
    struct Writer {
        static Task<> go(Clock& clock, Connection& connection, bool& answered, bool& ended) {
            // About a second of computing, then the commit.
            const auto rows = co_await connection.query(
                "INSERT INTO public.t SELECT sum(i) FROM generate_series(1, 1000000000) i WHERE i % 7 = 1 GROUP BY i % "
                "1",
                {}, clock.now() + 60s);
            answered = rows.has_value();
            ended = true;
        }
    };
    Login login;
    login.endpoint = {"127.0.0.1", a->agent.postgresql.listen_port};
    login.user = a->agent.postgresql.superuser;
    login.statement_timeout = 0ms;
    const auto connection = loop.run(Connection::open(loop.clock, login, loop.clock.now() + 5s));
    ASSERT_TRUE(connection);
    bool answered = false;
    bool ended = false;
    spawn(loop.context.get_executor(), "writer", Writer::go(loop.clock, **connection, answered, ended));
    loop.run(loop.clock.sleep_for(200ms));
    ASSERT_FALSE(ended);
    const int pid = a->observe().postmaster_pid;
    kill(pid, SIGKILL);
    loop.run(loop.clock.sleep_for(100ms));
    EXPECT_EQ(a->observe().postmaster, Postmaster::remains) << "the busy backend should have outlived its postmaster";
    EXPECT_FALSE(ended);

    const Instant begin = loop.clock.now();
    loop.run(a->server->kill_everything());
    EXPECT_LT(loop.clock.now() - begin, 500ms);
    EXPECT_TRUE(server_processes(ServerPlace(a->agent.postgresql.data_dir)).empty());
    EXPECT_EQ(a->observe().postmaster, Postmaster::absent);
    EXPECT_TRUE(loop.until([&] { return ended; }, 2s));
    EXPECT_FALSE(answered);
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = true, .source = {}})));
    EXPECT_EQ(a->ask("SELECT count(*) FROM public.t"), "0");
}

TEST_F(server, a_frozen_postmaster_is_seen_before_the_deadline_and_killed) {
    const auto a = primary("a");
    const int pid = a->observe().postmaster_pid;
    kill(pid, SIGSTOP);
    ASSERT_TRUE(loop.until([&] { return find_postmaster(a->agent.postgresql.data_dir).stopped; }, 5s));
    Instant begin = loop.clock.now();
    ServerState state = a->observe(500ms);
    EXPECT_LT(loop.clock.now() - begin, 700ms);
    EXPECT_TRUE(state.query_failed) << "nobody new is let in, so it is not healthy";
    EXPECT_EQ(state.postmaster, Postmaster::running);
    // Without a session of old nobody answers at all.
    a->adopt();
    begin = loop.clock.now();
    state = a->observe(500ms);
    EXPECT_LT(loop.clock.now() - begin, 700ms);
    EXPECT_TRUE(state.query_failed);
    EXPECT_FALSE(state.accepts_connections);
    loop.run(a->server->kill_everything());
    EXPECT_EQ(a->observe().postmaster, Postmaster::absent);
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = true, .source = {}})));
    EXPECT_TRUE(a->observe().is_primary());
}

TEST_F(server, a_standby_is_promoted_at_once_when_its_primary_has_just_died) {
    auto a = primary("a");
    auto b = standby(*a, "b");
    Duration slowest{};
    for (int round = 0; round < 10; ++round) {
        // What only the old primary has would keep it from following: hint bits are WAL that nobody waits for, until a
        // commit behind them has to be flushed.
        a->observe();
        a->ask("SELECT pg_catalog.pg_logical_emit_message(true, 'test', 'flush')");
        const Lsn all = a->observe().written;
        b->observe_until([all](const ServerState& state) { return state.position() >= all; });
        const int pid = a->observe().postmaster_pid;
        kill(pid, SIGKILL);
        // Once the receiver is gone the startup process is about to sleep: the worst moment to ask.
        b->observe_until([](const ServerState& state) { return !state.wal_receiver_active; });
        const Instant begin = loop.clock.now();
        PGKEEL_ASSERT_OK(loop.run(b->server->promote(10s)));
        const Duration took = loop.clock.now() - begin;
        slowest = std::max(slowest, took);
        EXPECT_LT(took, 1s) << "round " << round;
        const ServerState state = b->observe();
        EXPECT_TRUE(state.is_primary());
        EXPECT_EQ(state.timeline, Timeline{static_cast<std::uint32_t>(round + 2)});
        loop.run(a->server->kill_everything());
        // The old primary comes back as a standby of the new one.
        PGKEEL_ASSERT_OK(loop.run(b->server->create_slot(a->agent.name)));
        PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = false, .source = b->source(a->agent.name)})));
        a->observe_until([](const ServerState& seen) { return seen.replication_state == "streaming"; });
        std::swap(a, b);
    }
    RecordProperty("slowest_ms", std::to_string(slowest.count() / 1000));
    std::printf("slowest promotion: %.1f ms\n", static_cast<double>(slowest.count()) / 1000);
}

TEST_F(server, a_stop_tells_the_shutdown_checkpoint_as_soon_as_it_is_written) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    a->ask("CREATE TABLE public.t AS SELECT generate_series(1, 10000)");
    Lsn told;
    const auto stopped = loop.run(a->server->stop(
        {.mode = StopMode::fast, .checkpoint_first = true, .timeout = 30s, .on_shut_down = [&](Lsn lsn) {
             told = lsn;
         }}));
    ASSERT_TRUE(stopped) << stopped.error().line();
    EXPECT_TRUE(told);
    EXPECT_EQ(told, *stopped);
    const ServerState state = b->observe_until([&](const ServerState& seen) { return seen.position() > told; });
    EXPECT_GT(state.position(), told) << "the standby has the shutdown checkpoint";
}

TEST_F(server, a_stop_that_does_not_end_is_raised_until_it_does) {
    const auto a = primary("a");
    const int pid = a->observe().postmaster_pid;
    kill(pid, SIGSTOP);
    const Instant begin = loop.clock.now();
    const auto stopped = loop.run(a->server->stop({.mode = StopMode::fast, .timeout = 500ms, .on_shut_down = {}}));
    ASSERT_TRUE(stopped) << stopped.error().line();
    EXPECT_EQ(*stopped, Lsn{}) << "there was no shutdown checkpoint";
    EXPECT_LT(loop.clock.now() - begin, 3s);
    EXPECT_EQ(a->observe().postmaster, Postmaster::absent);
}

TEST_F(server, a_server_that_cannot_start_says_why) {
    const auto a = primary("a");
    PGKEEL_ASSERT_OK(stop(*a));
    a->agent.postgresql.section["parameters"].as_object()["shared_preload_libraries"] = "no_such_library";
    const auto started = loop.run(a->server->start({.as_primary = true, .source = {}, .timeout = 20s}));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Errc::process_failed) << started.error().line();
    EXPECT_EQ(a->observe().postmaster, Postmaster::absent);
}

TEST_F(server, a_stale_pid_file_of_somebody_else_does_not_keep_it_down) {
    const auto a = primary("a");
    PGKEEL_ASSERT_OK(stop(*a));
    std::ofstream(a->agent.postgresql.data_dir + "/postmaster.pid") << getpid() << "\n"
                                                                    << a->agent.postgresql.data_dir << "\n0\n";
    EXPECT_EQ(a->observe().postmaster, Postmaster::absent);
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = true, .source = {}})));
}

TEST_F(server, a_lost_data_directory_is_no_longer_a_cluster) {
    const auto a = primary("a");
    EXPECT_EQ(loop.run(a->server->remove_data("")).error().code, Errc::unsafe) << "its server runs";
    PGKEEL_ASSERT_OK(stop(*a));
    PGKEEL_ASSERT_OK(loop.run(a->server->remove_data("")));
    EXPECT_EQ(a->observe().data_directory, DataDirectory::empty);
}

TEST_F(server, slots_are_made_moved_and_dropped_twice_without_an_error) {
    const auto a = primary("a");
    a->observe();
    for (int i = 0; i < 2; ++i) PGKEEL_ASSERT_OK(loop.run(a->server->create_slot("other")));
    ServerState state = a->observe();
    ASSERT_EQ(state.slots.size(), 1U);
    EXPECT_EQ(state.slots[0].name, "other");
    EXPECT_TRUE(state.slots[0].physical);
    EXPECT_FALSE(state.slots[0].active);
    EXPECT_TRUE(state.slots[0].restart_lsn);
    const Lsn before = state.slots[0].restart_lsn;
    a->ask("SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000))");
    a->ask("SELECT pg_switch_wal()");
    state = a->observe();
    PGKEEL_ASSERT_OK(loop.run(a->server->advance_slot("other", "", state.written)));
    EXPECT_GT(a->observe().slots[0].restart_lsn, before);
    EXPECT_EQ(loop.run(a->server->advance_slot("nobody", "", state.written)).error().code, Errc::not_found);
    for (int i = 0; i < 2; ++i) PGKEEL_ASSERT_OK(loop.run(a->server->drop_slot("other")));
    EXPECT_TRUE(a->observe().slots.empty());
}

TEST_F(server, a_primary_sees_its_standbys_and_a_standby_what_it_receives) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    a->ask("CREATE TABLE public.t AS SELECT generate_series(1, 1000)");
    const ServerState leader = a->observe();
    ASSERT_EQ(leader.replication.size(), 1U);
    EXPECT_EQ(leader.replication[0].application_name, "b");
    EXPECT_EQ(leader.replication[0].usename, "replicator");
    EXPECT_EQ(leader.replication[0].client_addr, "127.0.0.1");
    EXPECT_EQ(leader.replication[0].state, "streaming");
    EXPECT_EQ(leader.replication[0].sync_state, "async");
    ASSERT_EQ(leader.slots.size(), 1U);
    EXPECT_TRUE(leader.slots[0].active);
    const ServerState follower =
        b->observe_until([&](const ServerState& state) { return state.replayed >= leader.written; });
    EXPECT_TRUE(follower.in_recovery);
    EXPECT_FALSE(follower.is_primary());
    EXPECT_TRUE(follower.wal_receiver_active);
    EXPECT_EQ(follower.timeline, Timeline{1});
    EXPECT_GE(follower.position(), leader.written);
    EXPECT_GE(follower.latest_end, leader.written);
    EXPECT_EQ(follower.primary_slot_name, "b");
    EXPECT_EQ(follower.system_identifier, leader.system_identifier);
    EXPECT_TRUE(follower.standby_signal);
    EXPECT_FALSE(follower.primary_conninfo.contains("secret"));
}

TEST_F(server, a_standby_follows_another_primary_without_a_restart) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    const auto c = standby(*a, "c");
    const std::string started = c->observe().postmaster_start_time;
    PGKEEL_ASSERT_OK(stop(*a));
    PGKEEL_ASSERT_OK(loop.run(b->server->promote(10s)));
    PGKEEL_ASSERT_OK(loop.run(b->server->create_slot("c")));
    PGKEEL_ASSERT_OK(loop.run(c->server->follow(b->source("c"))));
    const ServerState state = c->observe_until(
        [](const ServerState& seen) { return seen.timeline == Timeline{2} && seen.replication_state == "streaming"; });
    EXPECT_EQ(state.postmaster_start_time, started);
    EXPECT_EQ(loop.run(b->server->follow(c->source())).error().code, Errc::invalid_input) << "a primary follows nobody";

    const auto history = loop.run(b->server->timeline_history(Timeline{2}));
    ASSERT_TRUE(history) << history.error().line();
    ASSERT_EQ(history->size(), 1U);
    EXPECT_EQ(history->front().timeline, Timeline{1});
    EXPECT_TRUE(loop.run(b->server->timeline_history(Timeline{1}))->empty());
    EXPECT_EQ(loop.run(b->server->timeline_history(Timeline{9})).error().code, Errc::not_found);
}

TEST_F(server, what_a_lost_primary_wrote_alone_is_found_and_rewound) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    PGKEEL_ASSERT_OK(loop.run(a->server->checkpoint()));
    PGKEEL_ASSERT_OK(stop(*b));
    a->ask("CREATE TABLE public.lost AS SELECT 1");
    PGKEEL_ASSERT_OK(loop.run(b->server->start({.as_primary = false, .source = std::nullopt})));
    PGKEEL_ASSERT_OK(loop.run(b->server->promote(10s)));
    PGKEEL_ASSERT_OK(loop.run(b->server->checkpoint()));
    loop.run(a->server->kill_everything());
    // What a crash left is read after its recovery only.
    EXPECT_EQ(loop.run(a->server->compare_history(b->member(), a->observe())).error().code, Errc::not_found);
    PGKEEL_ASSERT_OK(loop.run(a->server->recover_single_user()));
    ServerState here = a->observe();
    EXPECT_EQ(here.control.value().state, ControlState::shut_down);
    auto difference = loop.run(a->server->compare_history(b->member(), here));
    ASSERT_TRUE(difference) << difference.error().line();
    EXPECT_TRUE(difference->needs_rewind) << difference->why;
    PGKEEL_ASSERT_OK(loop.run(a->server->rewind(b->member())));
    PGKEEL_ASSERT_OK(loop.run(b->server->create_slot("a")));
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = false, .source = b->source("a")})));
    here = a->observe_until([](const ServerState& state) { return state.replication_state == "streaming"; });
    EXPECT_EQ(here.timeline, Timeline{2});
    EXPECT_EQ(a->ask("SELECT to_regclass('public.lost') IS NULL"), "t");
    difference = loop.run(a->server->compare_history(b->member(), here));
    ASSERT_TRUE(difference) << difference.error().line();
    EXPECT_FALSE(difference->needs_rewind) << difference->why;
}

TEST_F(server, a_parameter_that_only_a_restart_sets_is_pending_until_then) {
    const auto a = primary("a");
    const auto configure = [&](const char* json) {
        PGKEEL_ASSERT_OK(loop.run(a->server->apply_configuration(json, false)));
    };
    ServerState state = a->observe_until([](const ServerState& seen) { return seen.pending_restart; });
    EXPECT_TRUE(state.pending_restart_reason_json.contains("max_connections")) << state.pending_restart_reason_json;
    PGKEEL_ASSERT_OK(stop(*a));
    PGKEEL_ASSERT_OK(loop.run(a->server->start({.as_primary = true, .source = {}})));
    EXPECT_EQ(a->ask("SHOW max_connections"), "50");
    state = a->observe();
    EXPECT_FALSE(state.pending_restart) << state.pending_restart_reason_json;
    configure(R"({"postgresql": {"parameters": {"max_connections": 50, "work_mem": "9MB"}}})");
    EXPECT_TRUE(loop.until([&] { return a->ask("SHOW work_mem") == "9MB"; }, 5s));
    EXPECT_FALSE(a->observe().pending_restart);
}

TEST_F(server, a_promotion_leaves_nothing_that_waits_for_a_restart) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    PGKEEL_ASSERT_OK(
        loop.run(b->server->apply_configuration(R"({"postgresql": {"parameters": {"max_connections": 100}}})", false)));
    PGKEEL_ASSERT_OK(stop(*a));
    PGKEEL_ASSERT_OK(loop.run(b->server->promote(10s)));
    const ServerState state =
        b->observe_until([](const ServerState& seen) { return seen.is_primary() && seen.primary_conninfo.empty(); });
    loop.run(loop.clock.sleep_for(300ms));
    EXPECT_FALSE(b->observe().pending_restart) << b->observe().pending_restart_reason_json;
    EXPECT_EQ(b->ask("SELECT string_agg(name, ' ') FROM pg_settings WHERE pending_restart"), "NULL");
    b->adopt();
    PGKEEL_ASSERT_OK(loop.run(b->server->apply_configuration(
        R"({"postgresql": {"parameters": {"max_connections": 100, "work_mem": "6MB"}}})", false)));
    b->observe();
    EXPECT_TRUE(loop.until([&] { return b->ask("SHOW work_mem") == "6MB"; }, 5s));
    EXPECT_FALSE(b->observe().pending_restart) << state.pending_restart_reason_json;
    EXPECT_EQ(b->ask("SELECT string_agg(name, ' ') FROM pg_settings WHERE pending_restart"), "NULL");
}

TEST_F(server, an_observation_costs_less_than_a_thousandth_of_a_second_of_our_time) {
    const auto a = primary("a");
    const auto b = standby(*a, "b");
    a->observe();
    const auto cpu = [] {
        rusage used{};
        getrusage(RUSAGE_SELF, &used);
        return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    };
    const auto before = cpu();
    constexpr int times = 300;
    for (int i = 0; i < times; ++i) a->observe();
    const auto each = (cpu() - before) / times;
    std::printf("one observation of a primary: %ld us of CPU here\n", static_cast<long>(each.count()));
    EXPECT_LT(each, 1000us);
}

}  // namespace
}  // namespace pgkeel::postgres
