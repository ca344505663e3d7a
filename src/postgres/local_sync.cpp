#include "async/spawn.hpp"
#include "log/log.hpp"
#include "postgres/local_server.hpp"

// Synchronous replication as the agent drives it: which standbys a commit waits for, and the proofs that it does.

namespace pgkeel::postgres {

namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(20);
constexpr Duration shown_within = std::chrono::seconds(3);
constexpr auto statement_timeout = std::chrono::milliseconds(2000);
constexpr Duration idle_within = std::chrono::seconds(1);
constexpr Duration proven_within = std::chrono::seconds(5);
constexpr const char* session_name = "Patroni sync";
/// A transaction that has only an id waits for nobody: a record has to be in it (PostgreSQL, RecordTransactionCommit).
constexpr const char* waiting_commit =
    "SET synchronous_commit = on; SELECT pg_catalog.pg_logical_emit_message(true, 'pgkeel', '')";

}  // namespace

void LocalServer::add_synchronous_standbys(Role role, ParameterMap& overrides) const {
    if (synchronous_standbys_known_) {
        if (synchronous_standbys_) overrides["synchronous_standby_names"] = *synchronous_standbys_;
    } else if (role == Role::primary && last_.accepts_connections && !last_.in_recovery) {
        // To empty it would acknowledge every commit that waits.
        overrides["synchronous_standby_names"] = last_.synchronous_standby_names;
    }
}

/// A commit of ours that is to be seen waiting.
struct LocalServer::Probe {
    int backend = 0;
    bool ended = false;
    static Task<> commit(std::shared_ptr<Probe> self, std::unique_ptr<Connection> connection, Deadline deadline) {
        co_await connection->query(waiting_commit, {}, deadline);
        self->ended = true;
    }
};

Task<Result<>> LocalServer::set_synchronous_standbys(std::optional<SyncRule> rule) {
    const bool none = !rule || rule->names.empty();
    const bool is_primary = last_.accepts_connections && !last_.in_recovery;
    // Those of an adopted primary have been in force for as long as an agent takes to start.
    if (!synchronous_standbys_known_ && is_primary) standbys_proven_ = !last_.synchronous_standby_names.empty();
    if (none || !is_primary) standbys_proven_ = false;
    if (none || standbys_proven_) co_return co_await give_names(std::move(rule));
    if (is_primary) co_return co_await set_first_standbys(std::move(*rule));
    auto given = co_await give_names(std::move(rule));
    if (given) standbys_proven_ = co_await checkpointer_is_idle(clock_.now() + idle_within);
    co_return given;
}

Task<Result<>> LocalServer::give_names(std::optional<SyncRule> rule) {
    if (steered_ > 0)
        co_return fail(Errc::unavailable,
                       "cannot set synchronous_standby_names: PostgreSQL is being started or stopped");
    if (!rule && synchronous_standbys_known_ && !synchronous_standbys_) co_return Result<>{};
    synchronous_standbys_ = rule ? std::optional(to_setting(*rule)) : std::nullopt;
    synchronous_standbys_known_ = true;
    const auto found = co_await find_server();
    if (found.state != Postmaster::running) co_return Result<>{};
    if (!last_.accepts_connections || last_.postmaster_pid != found.pid)
        co_return fail(Errc::unavailable,
                       "cannot set synchronous_standby_names: PostgreSQL has not told yet what it is");
    auto changed = co_await rewrite_running();
    if (!changed) co_return fail("while setting synchronous_standby_names", std::move(changed.error()));
    // Also when the file has it already: whoever wrote it may not have got to the reload.
    if (!reload_server(found.pid))
        co_return fail(Errc::process_failed, "cannot set synchronous_standby_names: PostgreSQL is gone");
    if (!rule) co_return Result<>{};
    co_return co_await wait_until_shown(to_setting(*rule), clock_.now() + shown_within);
}

// That new sessions show names is not enough when there were none before: a commit waits only once the checkpointer,
// too, has read the file and says so in shared memory, and it may be busy for seconds (PostgreSQL, SyncRepWaitForLSN).
// So the first name is one that nobody has, until a commit of ours is seen to wait; only then comes who may answer.
Task<Result<>> LocalServer::set_first_standbys(SyncRule rule) {
    const Deadline deadline = clock_.now() + proven_within;
    if (auto blocked = co_await give_names(SyncRule{{impossible_standby}, 1, false}); !blocked) co_return blocked;
    const auto probe = std::make_shared<Probe>();
    bool waits = false;
    while (!waits && clock_.now() < deadline) {
        auto connection = co_await connect(session_name, std::chrono::milliseconds(0), deadline);
        if (!connection) co_return std::unexpected(std::move(connection.error()));
        probe->backend = (*connection)->backend_pid();
        probe->ended = false;
        spawn(executor_, "probe of synchronous replication",
              Probe::commit(probe, std::move(*connection), clock_.now() + proven_within));
        while (!waits && !probe->ended && clock_.now() < deadline) {
            const auto rows = co_await sql("SELECT wait_event FROM pg_catalog.pg_stat_get_activity($1)",
                                           {std::to_string(probe->backend)});
            waits = rows && rows->size() == 1 && !rows->front().empty() && rows->front()[0] == "SyncRep";
            if (!waits) co_await clock_.sleep_for(std::chrono::milliseconds(5));
        }
    }
    auto given = co_await give_names(rule);
    if (!probe->ended) co_await end_wal_sender(probe->backend);  // it has shown what it was for
    if (!given) co_return given;
    if (!waits)
        co_return fail(Errc::timed_out,
                       "commits do not wait for standbys yet: the checkpointer has not read its configuration",
                       "is its disk slow?");
    standbys_proven_ = true;
    co_return Result<>{};
}

/// On a standby no commit can be seen to wait. Its checkpointer wakes up when it is told to read its configuration, so
/// when it sleeps in its main loop a moment later it has read it. False: it is busy; the first change after the
/// promotion proves it then.
Task<bool> LocalServer::checkpointer_is_idle(Deadline deadline) {
    int idle = 0;
    while (idle < 2 && clock_.now() < deadline) {
        co_await clock_.sleep_for(std::chrono::milliseconds(10));
        const auto rows =
            co_await sql("SELECT wait_event FROM pg_catalog.pg_stat_activity WHERE backend_type = 'checkpointer'", {});
        const bool sleeps = rows && rows->size() == 1 && rows->front()[0] == "CheckpointerMain";
        idle = sleeps ? idle + 1 : 0;
    }
    if (idle < 2) log::warning("the checkpointer is busy: the first commits after the promotion may not wait");
    co_return idle >= 2;
}

/// A session that shows the value was started by a postmaster that has read it and has told all its processes.
Task<Result<>> LocalServer::wait_until_shown(std::string value, Deadline deadline) {
    std::string shown = "nothing";
    while (true) {
        auto connection = co_await connect(session_name, statement_timeout, deadline);
        if (connection) {
            const auto rows = co_await (*connection)->query("SHOW synchronous_standby_names", {}, deadline);
            if (rows && rows->size() == 1 && !rows->front().empty()) shown = rows->front()[0].value_or("");
            if (rows && shown == value) co_return Result<>{};
        } else {
            shown = connection.error().text;
        }
        if (clock_.now() >= deadline)
            co_return fail(
                Errc::timed_out,
                fmt::format("synchronous_standby_names was set to '{}', and new sessions show: {}", value, shown),
                "does ALTER SYSTEM or an included file set it, too?");
        co_await clock_.sleep_for(poll_interval);
    }
}

Task<Result<Lsn>> LocalServer::write_mark() {
    const Deadline deadline = clock_.now() + shown_within;
    auto connection = co_await connect(session_name, statement_timeout, deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    const auto rows = co_await (*connection)
                          ->query(
                              "SET synchronous_commit = local;"
                              " SELECT pg_catalog.pg_logical_emit_message(true, 'pgkeel', '');"
                              " SELECT pg_catalog.pg_current_wal_insert_lsn()",
                              {}, deadline);
    if (!rows) co_return fail("writing a mark into the WAL", rows.error());
    const auto position =
        rows->size() == 1 && !rows->front().empty() && rows->front()[0] ? parse_lsn(*rows->front()[0]) : std::nullopt;
    if (!position) co_return fail(Errc::postgres_error, "PostgreSQL did not tell its WAL position");
    co_return *position;
}

Task<Result<>> LocalServer::commit_barrier(Duration timeout) {
    const Deadline deadline = clock_.now() + timeout;
    auto connection =
        co_await connect(session_name, std::chrono::milliseconds(0), std::min(deadline, clock_.now() + shown_within));
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    const int backend = (*connection)->backend_pid();
    const auto done = co_await (*connection)->query(waiting_commit, {}, deadline);
    if (done) co_return Result<>{};
    // It would wait on without us.
    if (done.error().code == Errc::timed_out) co_await end_wal_sender(backend);
    co_return std::unexpected(done.error());
}

Task<Result<>> LocalServer::end_wal_sender(int pid) {
    auto ended = co_await sql("SELECT pg_catalog.pg_terminate_backend($1)", {std::to_string(pid)});
    if (!ended) co_return std::unexpected(std::move(ended.error()));
    co_return Result<>{};
}

}  // namespace pgkeel::postgres
