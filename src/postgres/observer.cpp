#include "postgres/observer.hpp"

#include "async/spawn.hpp"
#include "base/socket_directory.hpp"
#include "log/log.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/state_query.hpp"

#include <sys/stat.h>

namespace pgkeel::postgres {

namespace {

/// A new session costs the server a process: it is not tried longer than libpq's own users would.
constexpr Duration connect_time = std::chrono::seconds(3);

bool exists(const std::string& path) {
    struct stat about{};
    return lstat(path.c_str(), &about) == 0;
}

/// A server that still starts or already stops refuses without having failed. Before it listens it cannot say so
/// itself.
bool is_between_states(const Error& error, const std::string& status) {
    if (is_starting_or_stopping(error)) return true;
    return error.code == Errc::unavailable && status != "ready" && status != "standby";
}

}  // namespace

FileFacts look_at_files(const std::string& data_directory) {
    FileFacts facts;
    facts.data_directory = inspect_data_directory(data_directory);
    facts.postmaster = find_postmaster(data_directory);
    // An abstract socket (@name) is in no directory, and what a relative path means only the server knows.
    if (const std::string& sockets = facts.postmaster.file.socket_directory; sockets.starts_with('/'))
        facts.socket_directory_id = socket_directory_id(sockets);
    // What an agent before us has left in the middle is no cluster, whatever it looks like.
    if (facts.postmaster.state == Postmaster::absent && is_unfinished(data_directory))
        facts.data_directory = DataDirectory::empty;
    else if (is_half_rewound(data_directory))
        facts.data_directory = DataDirectory::damaged;
    facts.standby_signal = exists(data_directory + "/standby.signal");
    facts.backup_label = exists(data_directory + "/backup_label");
    struct stat about{};
    if (stat((data_directory + "/global/pg_control").c_str(), &about) == 0)
        facts.control_stamp = {about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec, about.st_ino};
    return facts;
}

struct Observer::Look {
    Event done;
    bool finished = false;
    FileFacts facts;
};

/// One observation at a time: they share the connection.
struct Observer::Turn {
    explicit Turn(Observer& whose) : observer(whose) { observer.busy_ = true; }
    ~Turn() {
        observer.busy_ = false;
        observer.free_.set();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    Observer& observer;
};

Task<FileFacts> Observer::look(Deadline deadline, bool& in_time) {
    struct Looking {
        static Task<> go(Workers& workers, std::string directory, std::shared_ptr<Look> result) {
            result->facts = co_await workers.run([directory] { return look_at_files(directory); });
            result->finished = true;
            result->done.set();
        }
    };
    if (!pending_) {
        pending_ = std::make_shared<Look>();
        spawn(co_await asio::this_coro::executor, "looking at PostgreSQL's files",
              Looking::go(programs_.workers, programs_.agent.postgresql.data_dir, pending_));
    }
    const auto looked = pending_;
    if (!looked->finished) co_await looked->done.wait(programs_.clock, deadline);
    in_time = looked->finished;
    if (looked->finished) {
        last_facts_ = looked->facts;
        pending_.reset();
    }
    co_return last_facts_;
}

void Observer::disconnect() {
    connection_.reset();
    connected_to_ = 0;
}

Task<Result<>> Observer::connect(Login login, Deadline deadline) {
    auto opened = co_await Connection::open(programs_.clock, std::move(login),
                                            std::min(deadline, programs_.clock.now() + connect_time));
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    const std::shared_ptr<Connection> connection = std::move(*opened);
    auto identity = co_await connection->query(identity_query, {}, deadline);
    if (!identity) co_return std::unexpected(std::move(identity.error()));
    if (auto read = read_identity(*identity, identity_); !read) co_return read;
    identity_.version_number = connection->server_version();
    if (auto prepared = co_await connection->prepare("state", state_query, deadline); !prepared) co_return prepared;
    connection_ = connection;
    conf_load_time_.clear();
    co_return Result<>{};
}

Task<> Observer::question(ServerState& state, Seen& seen, Login login, Deadline deadline) {
    const pid_t postmaster = state.postmaster_pid;
    if (connected_to_ != postmaster || !connection_ || !connection_->usable()) {
        disconnect();
        if (auto connected = co_await connect(std::move(login), deadline); !connected) {
            state.query_failed = !is_between_states(connected.error(), seen.files.postmaster.file.status);
            log::debug("PostgreSQL could not be asked: {}", connected.error().line());
            co_return;
        }
        connected_to_ = postmaster;
    }
    const auto connection = connection_;
    const auto rows = co_await connection->run("state", deadline);
    auto answer = rows ? read_state(*rows) : Result<StateAnswer>(std::unexpected(rows.error()));
    if (!answer) {
        log::debug("PostgreSQL did not tell its state: {}", answer.error().line());
        // A server that ends takes our session with it; that is no failure of a running one.
        state.query_failed = answer.error().code != Errc::maybe_done && !is_starting_or_stopping(answer.error());
        if (connection == connection_) disconnect();
        co_return;
    }
    ServerState told = std::move(answer->state);
    told.data_directory = state.data_directory;
    told.postmaster = state.postmaster;
    told.postmaster_pid = state.postmaster_pid;
    told.port = state.port;
    told.unix_socket = state.unix_socket;
    told.unix_socket_id = state.unix_socket_id;
    told.standby_signal = state.standby_signal;
    told.backup_label = state.backup_label;
    // A halted postmaster lets our old session work and nobody else in: that must not look healthy.
    told.query_failed = told.halted = seen.files.postmaster.stopped;
    told.accepts_connections = true;
    told.system_identifier = identity_.system_identifier;
    told.version_number = identity_.version_number;
    told.postmaster_start_time = identity_.postmaster_start_time;
    state = std::move(told);
    seen.settings_changed = conf_load_time_ != answer->conf_load_time;
    conf_load_time_ = answer->conf_load_time;
}

Task<> Observer::add_control(Seen& seen, Deadline deadline) {
    ServerState& state = seen.state;
    if (state.data_directory != DataDirectory::present && state.data_directory != DataDirectory::damaged) co_return;
    const bool running = state.running();
    if (running && !(control_wanted_ && state.is_primary())) co_return;
    if (!control_ || control_stamp_ != seen.files.control_stamp) {
        auto read = co_await read_control_data(programs_, deadline);
        if (!read) {
            log::warning("{}", read.error().line());
            co_return;
        }
        control_ = std::move(*read);
        control_stamp_ = seen.files.control_stamp;
    }
    state.control = control_;
    if (!running && state.system_identifier.empty()) state.system_identifier = control_->system_identifier;
    if (running && control_->checkpoint_timeline >= state.timeline) control_wanted_ = false;
}

Task<Observer::Seen> Observer::observe(std::function<Login(const FileFacts&)> login, Deadline deadline) {
    Clock& clock = programs_.clock;
    while (busy_ && clock.now() < deadline) co_await free_.wait(clock, deadline);
    Seen seen;
    ServerState& state = seen.state;
    const bool out_of_turn = busy_;
    std::optional<Turn> turn;
    if (!out_of_turn) turn.emplace(*this);
    bool in_time = false;
    if (!out_of_turn)
        seen.files = co_await look(deadline, in_time);
    else
        seen.files = last_facts_;
    state.data_directory = seen.files.data_directory;
    state.postmaster = seen.files.postmaster.state;
    state.postmaster_pid = seen.files.postmaster.pid;
    state.halted = seen.files.postmaster.stopped;
    state.port = seen.files.postmaster.file.port;
    if (!seen.files.socket_directory_id.empty()) {
        state.unix_socket = seen.files.postmaster.file.socket_directory;
        state.unix_socket_id = seen.files.socket_directory_id;
    }
    state.standby_signal = seen.files.standby_signal;
    state.backup_label = seen.files.backup_label;
    if (!in_time) {
        state.query_failed = state.running();
        co_return seen;
    }
    if (state.running())
        co_await question(state, seen, login(seen.files), deadline);
    else
        disconnect();
    co_await add_control(seen, deadline);
    co_return seen;
}

Task<Result<SqlRows>> Observer::ask(std::string statement, std::vector<std::string> parameters, Deadline deadline) {
    Clock& clock = programs_.clock;
    while (busy_ && clock.now() < deadline) co_await free_.wait(clock, deadline);
    if (busy_) co_return fail(Errc::timed_out, "PostgreSQL is still being asked something else");
    const Turn turn(*this);
    const auto connection = connection_;
    if (!connection) co_return fail(Errc::unavailable, "there is no connection to PostgreSQL");
    co_return co_await connection->query(std::move(statement), std::move(parameters), deadline);
}

}  // namespace pgkeel::postgres
