#include "log/log.hpp"
#include "postgres/control_data.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/local_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <sstream>

// The postmaster is started directly, not by pg_ctl: its pid is known at once, and so is its end.

namespace pgkeel::postgres {

namespace {

constexpr Duration poll_interval = std::chrono::milliseconds(10);

/// The server writes its log to our stderr until its own collector runs. When that is a file, what the server said can
/// be quoted.
struct LogPosition {
    off_t size = -1;
    static LogPosition now() {
        struct stat about{};
        return {fstat(STDERR_FILENO, &about) == 0 && S_ISREG(about.st_mode) ? about.st_size : -1};
    }
};

/// The last lines behind `from`, in one; empty when nobody can tell.
std::string said_since(LogPosition from) {
    if (from.size < 0) return {};
    const int file = open("/proc/self/fd/2", O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    struct stat about{};
    std::array<char, 2048> buffer{};
    const off_t begin =
        fstat(file, &about) == 0 ? std::max(from.size, about.st_size - static_cast<off_t>(buffer.size())) : from.size;
    const ssize_t bytes = pread(file, buffer.data(), buffer.size(), begin);
    close(file);
    std::string text(buffer.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::size_t at = text.size();
    for (int lines = 0; lines < 5 && at != std::string::npos && at > 0; ++lines) at = text.rfind('\n', at - 1);
    if (at != std::string::npos && at > 0 && at < text.size()) text.erase(0, at + 1);
    for (char& c : text)
        if (c == '\n') c = '|';
    return text;
}

/// PostgreSQL takes any living process of that number for a server, so a file that is known to be stale must go first.
Result<> remove_stale_pid_file(const std::string& directory) {
    if (find_postmaster(directory).state != Postmaster::absent) return {};
    return remove_file(directory + "/postmaster.pid");
}

/// The same for the lock files of its sockets: a killed postmaster that nobody has waited for yet, or another process
/// with its number, keeps a new one from starting. Ours are those that name our data directory, whose server is gone.
void remove_stale_socket_locks(const std::string& directory, const std::string& socket_directories,
                               const std::string& port) {
    if (find_postmaster(directory).state != Postmaster::absent) return;
    std::istringstream all(socket_directories);
    for (std::string one; std::getline(all, one, ',');) {
        one.erase(0, one.find_first_not_of(" \""));
        one.erase(one.find_last_not_of(" \"") + 1);
        const std::string lock = fmt::format("{}/.s.PGSQL.{}.lock", one, port);
        const auto text = read_file(lock);
        if (!text) continue;
        std::istringstream lines(*text);
        std::string pid;
        std::string owner;
        std::getline(lines, pid);
        std::getline(lines, owner);
        if (owner != directory) continue;
        if (const auto removed = remove_file(lock); !removed) log::warning("{}", removed.error().line());
    }
}

std::unexpected<Error> no_longer_allowed(const std::string& directory) {
    return fail(Errc::cancelled, fmt::format("PostgreSQL in {} may not be started any more", directory),
                "the lease was lost, or the agent stops");
}

}  // namespace

Task<Result<>> LocalServer::start(StartOptions options) {
    const Counted steering(steered_);
    const Deadline deadline = clock_.now() + options.timeout;
    const std::string directory = agent_.postgresql.data_dir;
    const auto found = co_await find_server();
    if (found.state == Postmaster::running)
        co_return fail(Errc::already_exists,
                       fmt::format("PostgreSQL in {} runs already as process {}", directory, found.pid));
    if (found.state == Postmaster::remains) co_await kill_everything();

    source_ = options.source;
    source_known_ = true;
    if (!options.as_primary) {
        synchronous_standbys_.reset();
        synchronous_standbys_known_ = true;
    }
    const Role role = role_of(options.as_primary, options.source);
    auto prepared = co_await workers_.run([this, directory]() -> Result<> {
        if (auto whole = must_be_whole(directory); !whole) return whole;
        if (auto done = remove_stale_pid_file(directory); !done) return done;
        if (auto done = fix_permissions(directory, programs_.account); !done) return done;
        if (auto done = files_.restore_copies(); !done) return done;
        return files_.keep_base();
    });
    if (!prepared) co_return prepared;
    Parameters parameters = co_await parameters_for(role, options.source);
    Signal signal = options.as_primary ? Signal::none : Signal::standby;
    bool needs_end_of_recovery = false;
    if (bootstrapped_ && bootstrapped_->custom) {
        apply_bootstrap(*bootstrapped_, files_, parameters);
        signal = bootstrapped_->signal;
        needs_end_of_recovery = true;
    }
    auto written = co_await write_configuration(role, parameters, options.source);
    if (!written) co_return std::unexpected(std::move(written.error()));
    if (!(bootstrapped_ && bootstrapped_->keeps_recovery_conf)) {
        auto signalled = co_await workers_.run([this, signal] { return files_.set_signal(signal); });
        if (!signalled) co_return signalled;
    }
    const auto configured = parameters.file.find("unix_socket_directories");
    const std::string sockets = configured == parameters.file.end() ? "/var/run/postgresql,/tmp" : configured->second;
    co_await workers_.run([directory, port = agent_.postgresql.listen_port, sockets] {
        remove_stale_socket_locks(directory, sockets, port);
        return true;
    });
    observer_.disconnect();
    if (options.allowed && !options.allowed()) co_return no_longer_allowed(directory);
    standbys_proven_ = options.as_primary && synchronous_standbys_ && !synchronous_standbys_->empty();
    auto started = co_await launch_postmaster(parameters, deadline);
    if (!started) co_return started;
    // Whoever killed the server meanwhile may have come too early to find it.
    if (options.allowed && !options.allowed()) {
        co_await kill_everything();
        co_return no_longer_allowed(directory);
    }
    auto open = co_await wait_until_open(started_->pid, needs_end_of_recovery, deadline);
    if (!open) co_return open;
    observer_.want_control();
    auto kept = co_await workers_.run([this] { return files_.save_copies(); });
    if (!kept) log::warning("copies of the configuration files were not kept: {}", kept.error().line());
    co_return Result<>{};
}

Task<Result<>> LocalServer::launch_postmaster(const Parameters& parameters, Deadline) {
    Command command = programs_.command("postgres", postmaster_arguments(agent_, parameters));
    command.new_session = true;
    command.directory = "/";
    command.environment.clear();
    // systemd's line to the agent is none of the server's business.
    command.without_environment_prefixes.emplace_back("NOTIFY_SOCKET=");
    auto pid = co_await workers_.run([command] { return start_detached(command); });
    if (!pid) co_return std::unexpected(std::move(pid.error()));
    started_ = process_identity(*pid);
    if (!started_) started_ = ServerProcess{.pid = *pid};
    log::info("postmaster pid={}", *pid);
    watch(*pid);
    co_return Result<>{};
}

Task<Result<>> LocalServer::wait_until_open(pid_t postmaster, bool needs_end_of_recovery, Deadline deadline) {
    const std::string directory = agent_.postgresql.data_dir;
    const LogPosition before = LogPosition::now();
    const auto dead = [this, postmaster] {
        const auto now = process_identity(postmaster);
        return !now ||
               (started_ && started_->pid == postmaster && started_->started != 0 && now->started != started_->started);
    };
    while (true) {
        if (co_await workers_.run(dead)) {
            const std::string said = co_await workers_.run([before] { return said_since(before); });
            co_return fail(
                Errc::process_failed,
                fmt::format("PostgreSQL in {} ended while it started{}{}", directory, said.empty() ? "" : ": ", said),
                said.empty() ? "its log says why" : "");
        }
        const auto found = co_await find_server();
        const std::string& status = found.file.status;
        if (found.pid == postmaster && (status == "ready" || (status == "standby" && !needs_end_of_recovery))) {
            auto connection = co_await connect("Patroni", std::chrono::milliseconds(2000),
                                               std::min(deadline, clock_.now() + std::chrono::seconds(3)));
            if (connection) co_return Result<>{};
            // It answers, and does not let us in: waiting will not help.
            if (connection.error().code == Errc::denied) co_return std::unexpected(std::move(connection.error()));
            log::debug("PostgreSQL is ready and does not let us in yet: {}", connection.error().line());
        }
        if (clock_.now() >= deadline)
            co_return fail(Errc::timed_out, fmt::format("PostgreSQL in {} still starts ({})", directory,
                                                        status.empty() ? "it has not said how far it is" : status));
        co_await clock_.sleep_for(poll_interval);
    }
}

}  // namespace pgkeel::postgres
