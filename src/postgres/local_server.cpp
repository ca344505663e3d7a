#include "postgres/local_server.hpp"

#include "log/log.hpp"
#include "postgres/replica_methods.hpp"
#include "postgres/rewind.hpp"

#include <boost/json/serialize.hpp>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>

#include <array>

namespace pgkeel::postgres {

namespace {

constexpr Duration statement_time = std::chrono::seconds(3);
constexpr const char* heartbeat =
    "Patroni heartbeat";  // dashboards and pg_stat_activity filters know the agent by this name

std::string user_name(uid_t user) {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
    return found->pw_name;
}

bool is_on(const json::object& section, std::string_view key) {
    const json::value* value = section.if_contains(key);
    return value != nullptr &&
           (value->is_bool() ? value->get_bool() : guc_text(*value) == "on" || guc_text(*value) == "true");
}

}  // namespace

Account account_for(const std::string& data_directory) {
    if (geteuid() != 0) return {};
    struct stat about{};
    if (stat(data_directory.c_str(), &about) == 0 && about.st_uid != 0) return {about.st_uid, about.st_gid};
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r("postgres", &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
    return {entry.pw_uid, entry.pw_gid};
}

LocalServer::LocalServer(asio::any_io_executor executor, Clock& clock, Workers& workers,
                         const config::AgentConfig& agent)
    : executor_(std::move(executor)),
      clock_(clock),
      workers_(workers),
      agent_(agent),
      programs_{clock, workers, agent, account_for(agent.postgresql.data_dir)},
      files_(agent, programs_.account),
      observer_(programs_),
      cancel_(std::make_shared<Cancel>()) {
    abilities_.has_bootstrap_section = agent.has_bootstrap;
}

LocalServer::~LocalServer() = default;

void LocalServer::on_exit(std::function<void()> callback) {
    on_exit_ = std::move(callback);
}

void LocalServer::cancel() {
    cancel_->request();
}

Cancel& LocalServer::begin_operation() {
    cancel_ = std::make_shared<Cancel>();
    return *cancel_;
}

Login LocalServer::login_for(const FileFacts& facts, std::string application_name) const {
    const auto& postgresql = agent_.postgresql;
    Login login;
    login.endpoint = local_endpoint(agent_, parameters_.file);
    // What runs is asked where it says it is, also when the file has another port by now.
    const PostmasterFile& file = facts.postmaster.file;
    if (!file.port.empty()) login.endpoint.port = file.port;
    if (postgresql.use_unix_socket && file.socket_directory.starts_with('/'))
        login.endpoint.host = file.socket_directory;
    login.user = postgresql.superuser;
    if (login.user.username.empty() && programs_.account.user != 0)
        login.user.username = user_name(programs_.account.user);
    login.database = postgresql.database;
    login.application_name = std::move(application_name);
    return login;
}

Task<ServerState> LocalServer::observe(Deadline deadline) {
    const auto login = [this](const FileFacts& facts) { return login_for(facts, heartbeat); };
    auto seen = co_await observer_.observe(login, deadline);
    ServerState& state = seen.state;
    if (state.running() && (!exit_watch_ || exit_watch_->pid() != state.postmaster_pid)) watch(state.postmaster_pid);
    if (state.accepts_connections) {
        remember_timeline(state);
        last_ = state;
        const bool role_changed = (role_ == Role::primary) == state.in_recovery;
        if (role_ == Role::uninitialized || role_changed) role_ = role_of(!state.in_recovery, source_);
        if (rewrite_pending_) {
            rewrite_pending_ = false;
            co_await rewrite_when_known();
        }
        if (seen.settings_changed) co_await refresh_pending_restart(deadline);
        mind_passfile(state);
    }
    state.pending_restart = !pending_restart_.empty();
    state.pending_restart_reason_json = json::serialize(pending_restart_);
    co_return std::move(seen.state);
}

/// A standby knows the timeline it is on from its wal receiver; once that has ended there is only pg_control, which
/// lags by a restartpoint. An election must not take it for older than it is.
void LocalServer::remember_timeline(ServerState& state) {
    if (!state.in_recovery || state.postmaster_start_time != timeline_of_start_) streamed_timeline_ = {};
    timeline_of_start_ = state.postmaster_start_time;
    if (!state.in_recovery) return;
    state.timeline = streamed_timeline_ = std::max(state.timeline, streamed_timeline_);
}

Task<> LocalServer::refresh_pending_restart(Deadline deadline) {
    if (!has_dynamic_ || parameters_.file.empty()) co_return;
    auto rows = co_await observer_.ask(pg_settings_query, {}, deadline);
    if (!rows) {
        log::debug("pg_settings could not be read: {}", rows.error().line());
        co_return;
    }
    std::vector<SettingRow> settings;
    for (auto& row : *rows) {
        if (row.size() != 7) continue;
        const auto text = [&](std::size_t column) { return row[column].value_or(""); };
        settings.push_back({text(0), text(1), text(2), text(3), text(4), row[5] == "t", text(6)});
    }
    pending_restart_ = pending_restart_reason(parameters_, settings);
}

Task<PostmasterFound> LocalServer::find_server() {
    co_return co_await workers_.run([directory = agent_.postgresql.data_dir] { return find_postmaster(directory); });
}

void LocalServer::watch(pid_t postmaster) {
    exit_watch_ = ExitWatch::begin(executor_, postmaster, [this] {
        pending_restart_.clear();
        if (on_exit_) on_exit_();
    });
}

bool LocalServer::reload_server(pid_t postmaster) const {
    return postmaster > 0 && kill(postmaster, SIGHUP) == 0;
}

Task<Result<std::unique_ptr<Connection>>> LocalServer::connect(std::string application_name,
                                                               std::chrono::milliseconds statement_timeout,
                                                               Deadline deadline, std::string database) {
    FileFacts facts;
    facts.postmaster = co_await find_server();
    if (facts.postmaster.state != Postmaster::running) co_return fail(Errc::unavailable, "PostgreSQL is not running");
    Login login = login_for(facts, std::move(application_name));
    login.statement_timeout = statement_timeout;
    if (!database.empty()) login.database = std::move(database);
    co_return co_await Connection::open(clock_, std::move(login), deadline);
}

Task<Result<SqlRows>> LocalServer::sql(std::string statement, std::vector<std::string> parameters) {
    const Deadline deadline = clock_.now() + statement_time;
    auto asked = co_await observer_.ask(statement, parameters, deadline);
    if (asked || asked.error().code != Errc::unavailable) co_return asked;
    auto connection = co_await connect(heartbeat, std::chrono::milliseconds(2000), deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    co_return co_await (*connection)->query(std::move(statement), std::move(parameters), deadline);
}

Task<> LocalServer::refresh_abilities() {
    const json::object section = effective_section(agent_, dynamic_);
    abilities_.remove_data_on_rewind_failure = is_on(section, "remove_data_directory_on_rewind_failure");
    abilities_.keep_damaged_data =
        section.contains("remove_data_directory_on_rewind_failure") && !abilities_.remove_data_on_rewind_failure;
    abilities_.remove_data_on_diverged_timelines = is_on(section, "remove_data_directory_on_diverged_timelines");
    std::vector<std::string> warnings;
    abilities_.can_clone_without_leader = can_clone_without_leader(replica_methods(agent_, dynamic_, false, warnings));
    auto control = co_await read_control_data(programs_, clock_.now() + statement_time);
    std::optional<ControlData> known;
    if (control) known = std::move(*control);
    abilities_.can_rewind = co_await can_rewind(programs_, dynamic_, std::move(known));
}

}  // namespace pgkeel::postgres
