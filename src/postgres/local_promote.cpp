#include "log/log.hpp"
#include "postgres/files.hpp"
#include "postgres/local_server.hpp"
#include "process/pidfd.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

// What is done to a server that runs.

namespace pgkeel::postgres {

namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(5);
constexpr Duration nudge_interval = std::chrono::milliseconds(20);

/// A process that is signalled through its pidfd, so that the signal never reaches another one with its number.
class Signalled {
  public:
    explicit Signalled(pid_t pid) : pidfd_(pid > 0 ? open_pidfd(pid) : -1) {}
    ~Signalled() {
        if (pidfd_ >= 0) close(pidfd_);
    }
    Signalled(const Signalled&) = delete;
    Signalled& operator=(const Signalled&) = delete;
    bool send(int signal) const {
        return pidfd_ >= 0 && syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0U) == 0;
    }

  private:
    int pidfd_;
};

pid_t pid_in(const Result<SqlRows>& rows) {
    if (!rows || rows->empty() || rows->front().empty() || !rows->front()[0]) return 0;
    return std::atoi(rows->front()[0]->c_str());
}

}  // namespace

// A request to promote can get lost for seconds: the startup process looks for it, finds none, and goes to sleep for
// wal_retrieve_retry_interval just as it arrives. SIGHUP wakes it up and makes it look again, so it gets one every few
// milliseconds; to the startup process alone, because the postmaster would make every backend read its configuration
// again.
Task<Result<>> LocalServer::promote(Duration timeout) {
    const Deadline deadline = clock_.now() + timeout;
    const std::string directory = agent_.postgresql.data_dir;
    const auto found = co_await find_server();
    if (found.state != Postmaster::running)
        co_return fail(Errc::process_failed, "cannot promote PostgreSQL: it does not run");
    auto connection = co_await connect("Patroni", std::chrono::milliseconds(2000), deadline);
    pid_t startup = 0;
    if (connection)
        startup = pid_in(co_await (*connection)
                             ->query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'", {}, deadline));
    const Signalled postmaster(found.pid);
    const Signalled startup_process(startup);
    auto asked = co_await workers_.run(
        [directory, account = programs_.account] { return write_file(directory + "/promote", "", 0600, account); });
    if (!asked) co_return asked;
    if (!postmaster.send(SIGUSR1)) co_return fail(Errc::process_failed, "cannot promote PostgreSQL: it is gone");

    Instant next_nudge = clock_.now() + nudge_interval;
    while (true) {
        if (connection && (*connection)->usable()) {
            const auto rows = co_await (*connection)->query("SELECT pg_is_in_recovery()", {}, deadline);
            if (rows && rows->size() == 1 && rows->front()[0] == "f") break;
        } else {
            connection = co_await connect("Patroni", std::chrono::milliseconds(2000), deadline);
        }
        if (!postmaster.send(0)) co_return fail(Errc::process_failed, "PostgreSQL ended while it was promoted");
        if (clock_.now() >= deadline)
            co_return fail(Errc::timed_out, fmt::format("PostgreSQL was not promoted in {:.1f} s", seconds(timeout)),
                           "it may still become a primary: is it waiting for its archive?");
        if (clock_.now() >= next_nudge) {
            if (!startup_process.send(SIGHUP)) postmaster.send(SIGHUP);
            next_nudge = clock_.now() + nudge_interval;
        }
        co_await clock_.sleep_for(poll_interval);
    }
    last_.in_recovery = false;
    role_ = Role::primary;
    source_.reset();
    source_known_ = true;
    observer_.want_control();
    // Settings of a standby do no harm on a primary, so they are taken away after it serves.
    auto changed = co_await rewrite_running();
    if (!changed)
        log::error("PostgreSQL's configuration was not written after its promotion: {}", changed.error().line());
    else if (*changed)
        reload_server(found.pid);
    co_return Result<>{};
}

Task<Result<>> LocalServer::checkpoint() {
    auto connection = co_await connect("Patroni", std::chrono::milliseconds(0), clock_.now() + std::chrono::seconds(3));
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    auto done = co_await (*connection)->query("CHECKPOINT", {}, clock_.now() + std::chrono::hours(1));
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return Result<>{};
}

Task<Result<>> LocalServer::follow(std::optional<Source> source) {
    const auto found = co_await find_server();
    if (found.state == Postmaster::running && last_.accepts_connections && last_.postmaster_pid == found.pid &&
        !last_.in_recovery)
        co_return fail(Errc::invalid_input, "PostgreSQL is a primary and follows nobody",
                       "stop it and start it as a standby");
    source_ = source;
    source_known_ = true;
    const Role role = role_of(false, source);
    auto parameters = co_await parameters_for(role, source);
    auto changed = co_await write_configuration(role, std::move(parameters), source);
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    if (found.state != Postmaster::running || !*changed) co_return Result<>{};
    constexpr int first_with_reloadable_source = 130000;
    if (last_.version_number == 0 || last_.version_number >= first_with_reloadable_source) {
        reload_server(found.pid);
        co_return Result<>{};
    }
    auto stopped = co_await stop({.mode = StopMode::fast, .timeout = std::chrono::seconds(60), .on_shut_down = {}});
    if (!stopped) co_return std::unexpected(std::move(stopped.error()));
    co_return co_await start({.as_primary = false, .source = std::move(source)});
}

}  // namespace pgkeel::postgres
