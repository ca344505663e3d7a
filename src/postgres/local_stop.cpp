#include "log/log.hpp"
#include "postgres/control_data.hpp"
#include "postgres/local_server.hpp"
#include "postgres/rewind.hpp"

#include <csignal>

namespace pgkeel::postgres {

namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(5);
/// PostgreSQL gives the children of an immediate shutdown five seconds before it kills them itself.
constexpr Duration immediate_time = std::chrono::seconds(7);
/// A script of the operator that hangs must not keep a switchover waiting.
constexpr Duration before_stop_time = std::chrono::seconds(30);

bool is_down(ControlState state) {
    return state == ControlState::shut_down || state == ControlState::shut_down_in_recovery;
}

}  // namespace

Task<Result<Lsn>> LocalServer::stop(StopOptions options) {
    const Counted steering(steered_);
    const Deadline deadline = clock_.now() + options.timeout;
    const auto found = co_await find_server();
    if (found.state == Postmaster::remains) {
        co_await kill_everything();
        co_return Lsn{};
    }
    auto notify = options.on_shut_down;
    if (found.state == Postmaster::running) {
        if (!agent_.postgresql.before_stop.empty() && options.mode == StopMode::fast && !options.urgent) {
            auto script = programs_.script(agent_.postgresql.before_stop, {});
            auto ran =
                script ? co_await run_checked(clock_, std::move(*script),
                                              std::min(deadline, clock_.now() + before_stop_time), &begin_operation())
                       : Result<ExitStatus>(std::unexpected(script.error()));
            if (!ran) log::warning("before_stop: {}", ran.error().line());
        }
        if (options.checkpoint_first && options.mode == StopMode::fast) {
            auto connection = co_await connect("Patroni", std::chrono::milliseconds(0),
                                               std::min(deadline, clock_.now() + std::chrono::seconds(3)));
            auto done = connection ? co_await (*connection)->query("CHECKPOINT", {}, deadline)
                                   : Result<SqlRows>(std::unexpected(connection.error()));
            if (!done) log::warning("the checkpoint before the stop failed: {}", done.error().line());
        }
        observer_.disconnect();
        bool gone = false;
        if (options.mode == StopMode::fast) {
            kill(found.pid, SIGINT);
            gone = co_await wait_for_exit(found.pid, deadline, notify);
            if (!gone)
                log::warning("PostgreSQL did not stop in {:.1f} s: it is stopped at once", seconds(options.timeout));
        }
        if (!gone) {
            kill(found.pid, SIGQUIT);
            gone = co_await wait_for_exit(found.pid, clock_.now() + std::min(immediate_time, options.timeout), notify);
        }
        if (!gone) log::warning("PostgreSQL does not stop: all its processes are killed");
        co_await (gone ? kill_what_remains() : kill_everything());
    }
    auto control = co_await read_control_data(programs_, clock_.now() + std::chrono::seconds(5));
    if (!control || !is_down(control->state)) co_return Lsn{};
    if (options.archive_last_segment && control->state == ControlState::shut_down)
        co_await archive_segment_of_shutdown(control->redo_wal_file);
    if (notify) notify(control->checkpoint);
    co_return control->checkpoint;
}

Task<> LocalServer::archive_segment_of_shutdown(std::string segment) {
    const auto parameters = co_await parameters_for(Role::primary, std::nullopt);
    Cancel& cancel = begin_operation();
    const auto archived = co_await archive_segment(programs_, archive_command_of(parameters), segment,
                                                   clock_.now() + std::chrono::minutes(1), &cancel);
    if (!archived)
        log::warning(
            "the last segment {} was not archived, so who restores from the archive alone will not have the "
            "shutdown: {}",
            segment, archived.error().line());
}

/// True: the postmaster is gone. Calls `on_shut_down` once, at the first moment when the control file says so.
Task<bool> LocalServer::wait_for_exit(pid_t postmaster, Deadline deadline, std::function<void(Lsn)>& on_shut_down) {
    const std::string directory = agent_.postgresql.data_dir;
    struct Look {
        bool alive = false;
        ControlState control = ControlState::unknown;
    };
    while (true) {
        const bool wants_control = static_cast<bool>(on_shut_down);
        const Look look = co_await workers_.run([postmaster, directory, wants_control] {
            Look now;
            now.alive = server_process(postmaster, directory).has_value();
            if (wants_control) now.control = peek_control_state(directory);
            return now;
        });
        if (!look.alive) co_return true;
        if (wants_control && is_down(look.control)) {
            auto control = co_await read_control_data(programs_, clock_.now() + std::chrono::seconds(5));
            if (control && is_down(control->state)) {
                std::exchange(on_shut_down, nullptr)(control->checkpoint);
                continue;
            }
        }
        if (clock_.now() >= deadline) co_return false;
        co_await clock_.sleep_for(poll_interval);
    }
}

/// The postmaster waits for its children, so after its own end this is the case of a moment or of a crash.
Task<> LocalServer::kill_what_remains() {
    const Deadline patience = clock_.now() + std::chrono::seconds(1);
    while (clock_.now() < patience) {
        if ((co_await find_server()).state == Postmaster::absent) co_return;
        co_await clock_.sleep_for(poll_interval);
    }
    co_await kill_everything();
}

Task<> LocalServer::kill_everything() {
    observer_.disconnect();
    const auto pass = [directory = agent_.postgresql.data_dir, known = started_] {
        return kill_pass(ServerPlace(directory), known);
    };
    // A process that hangs in the kernel ends when the kernel lets it: until then the server is not gone.
    for (int passes = 0; co_await workers_.run(pass) != 0; ++passes) {
        if (passes == 200)
            log::error("processes of PostgreSQL do not end although they were killed: does its disk hang?");
        co_await clock_.sleep_for(passes < 20 ? std::chrono::milliseconds(2) : poll_interval * 4);
    }
}

}  // namespace pgkeel::postgres
