#include "local/cluster.hpp"
#include "local/generated_files.hpp"
#include "local/process_id.hpp"
#include "postgres/connection.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <signal.h>
#include <unistd.h>

#include <filesystem>

namespace pgkeel::local {

namespace {
using namespace std::chrono_literals;

constexpr Duration poll = 100ms;
constexpr Duration etcd_start_max = 30s;

http::ClientTls rest_tls(const Layout& layout) {
    http::ClientTls tls;
    tls.ca_file = layout.authority();
    tls.certificate_file = layout.certificate("client");
    tls.key_file = layout.key("client");
    return tls;
}

/// Our own file. Its path when that can be reached, so that `ps` shows a name; else the kernel's link to it, which
/// needs no way through directories that the servers' user may not enter.
std::string own_program() {
    std::error_code error;
    const std::string path = std::filesystem::read_symlink("/proc/self/exe", error);
    return !error && ::access(path.c_str(), X_OK) == 0 ? path : "/proc/self/exe";
}

/// One of ours, which goes on without us. `program` empty: this one, as `subcommand`.
Command own_command(const Layout& layout, const std::string& name, std::vector<std::string> program,
                    const char* subcommand, const std::string& file, const std::string& log) {
    Command command;
    command.arguments = program.empty() ? std::vector<std::string>{own_program(), subcommand} : std::move(program);
    command.arguments.push_back(file);
    // What the user's shell says about other clusters and servers must not reach this one.
    command.without_environment_prefixes = {"PATRONI_",  "PGHOST", "PGPORT",    "PGUSER",   "PGDATA",   "PGPASS",
                                            "PGSERVICE", "PGSSL",  "PGOPTIONS", "PGTARGET", "PGAPPNAME"};
    command.directory = layout.node(name);
    command.output_file = log;
    command.new_session = true;
    return command;
}
}  // namespace

Cluster::Cluster(Plan plan, Layout layout)
    : plan_(std::move(plan)), layout_(std::move(layout)), etcd_(plan_, layout_), rest_(rest_tls(layout_)) {}

Result<std::unique_ptr<Cluster>> Cluster::open(const std::string& directory) {
    const Layout layout{directory};
    auto plan = load_plan(layout);
    if (!plan) return std::unexpected(plan.error());
    return std::make_unique<Cluster>(std::move(*plan), layout);
}

Result<> Cluster::start_process(Command command, const std::string& name) {
    const auto pid = start_detached(command);
    if (!pid) return fail("starting " + name, pid.error());
    const auto process = identify(*pid);
    // Gone already: whoever waits for the server will say so, with the end of its log.
    if (!process) return {};
    auto saved = save(*process, layout_.pid_file(name));
    // Without its pid on record nobody could ever stop it.
    if (!saved) ::kill(-*pid, SIGKILL);
    return saved;
}

Result<> Cluster::keep_going() const {
    if (!interrupted_) return {};
    return fail(Errc::cancelled, "interrupted while the cluster was starting");
}

std::string Cluster::last_words(const std::string& log_file) const {
    const std::string log = read_file(log_file).value_or("");
    const auto end = log.find_last_not_of("\n ");
    if (end == std::string::npos) return "its log is empty";
    const auto before = log.rfind('\n', end);
    const auto begin = before == std::string::npos ? 0 : before + 1;
    const std::string line = log.substr(begin, end + 1 - begin);
    constexpr std::size_t enough = 300;
    return "its last words: " + line.substr(0, enough);
}

Task<Result<>> Cluster::start_etcd(Clock& clock, std::string program, Started& started, Say say) {
    for (const EtcdPlan& member : plan_.etcd) {
        if (running(layout_.pid_file(member.name))) {
            started.running_before.push_back(member.name);
            continue;
        }
        auto done = start_process(etcd_command(plan_, layout_, member, program), member.name);
        if (!done) co_return done;
        started.started.push_back(member.name);
    }
    const Instant began = clock.now();
    const Deadline deadline = began + etcd_start_max;
    Instant said = began;
    for (;;) {
        const int healthy = co_await etcd_.healthy_members(clock);
        if (healthy == static_cast<int>(plan_.etcd.size())) break;
        for (const EtcdPlan& member : plan_.etcd)
            if (!running(layout_.pid_file(member.name)))
                co_return fail(Errc::process_failed,
                               fmt::format("{} ended while it started; {}", member.name,
                                           last_words(layout_.etcd_log(member.name))),
                               "see " + layout_.etcd_log(member.name));
        if (auto go = keep_going(); !go) co_return go;
        if (clock.now() > deadline)
            co_return fail(Errc::timed_out,
                           fmt::format("{} of {} members of etcd are healthy after {:.0f} s", healthy,
                                       plan_.etcd.size(), seconds(etcd_start_max)),
                           "see " + layout_.etcd_log("etcd-*"));
        if (clock.now() - said > 2s) {
            say(fmt::format("etcd: {} of {} members are healthy", healthy, plan_.etcd.size()));
            said = clock.now();
        }
        co_await clock.sleep_for(poll);
    }
    Result<> secured;
    do {  // a member that has just begun may still be looking for its leader
        secured = co_await etcd_.secure(clock, clock.now() + 5s);
        if (secured || secured.error().code == Errc::denied) break;
        co_await clock.sleep_for(poll);
    } while (clock.now() < deadline);
    co_return secured;
}

Task<Result<Cluster::Started>> Cluster::start(Clock& clock, Programs programs, std::vector<std::string> agent_program,
                                              std::vector<std::string> proxy_program, Say say) {
    Started started;
    if (auto done = co_await start_etcd(clock, programs.etcd, started, say); !done)
        co_return std::unexpected(done.error());
    for (const NodePlan& node : plan_.nodes) {
        if (running(layout_.pid_file(node.name))) {
            started.running_before.push_back(node.name);
            continue;
        }
        auto done = start_process(own_command(layout_, node.name, agent_program, "agent",
                                              layout_.agent_config(node.name), layout_.agent_log(node.name)),
                                  node.name);
        if (!done) co_return std::unexpected(done.error());
        started.started.push_back(node.name);
    }
    const std::string proxy = Layout::proxy_name;
    if (running(layout_.pid_file(proxy))) {
        started.running_before.push_back(proxy);
        co_return started;
    }
    // Now, not when a primary is there: it holds clients until then.
    auto done = start_process(
        own_command(layout_, proxy, proxy_program, "proxy", layout_.proxy_config(), layout_.proxy_log()), proxy);
    if (!done) co_return std::unexpected(done.error());
    started.started.push_back(proxy);
    co_return started;
}

Task<bool> Cluster::write_once(Clock& clock, int port) {
    postgres::Login login;
    login.endpoint = {"127.0.0.1", std::to_string(port)};
    login.user.username = "postgres";
    login.user.password = plan_.passwords.superuser;
    login.user.connection = {{"sslmode", "verify-full"}, {"sslrootcert", layout_.authority()}};
    login.application_name = "pgkeel up";
    login.read_write = true;
    const auto connection = co_await postgres::Connection::open(clock, login, clock.now() + 2s);
    if (!connection) co_return false;
    // A commit that is flushed to disk and leaves nothing behind.
    const auto written =
        co_await (*connection)
            ->query("SELECT pg_catalog.pg_logical_emit_message(true, 'pgkeel', 'up')", {}, clock.now() + 5s);
    co_return written.has_value();
}

Task<Result<std::string>> Cluster::wait_for_writes(Clock& clock, Deadline deadline) {
    for (;;) {
        int agents = 0;
        for (const NodePlan& node : plan_.nodes) {
            if (co_await write_once(clock, node.postgres_port)) co_return node.name;
            if (running(layout_.pid_file(node.name))) ++agents;
        }
        if (auto go = keep_going(); !go) co_return std::unexpected(go.error());
        const std::string& first = plan_.nodes.front().name;
        if (agents == 0)
            co_return fail(Errc::process_failed,
                           fmt::format("every agent has ended; {}: {}", first, last_words(layout_.agent_log(first))),
                           "see " + layout_.agent_log(first));
        if (clock.now() >= deadline)
            co_return fail(
                Errc::timed_out, "no node takes writes yet",
                fmt::format("see `pgkeel logs --dir {}`: the agents say what they wait for", layout_.directory));
        co_await clock.sleep_for(poll);
    }
}

Task<Result<>> Cluster::wait_for_proxy(Clock& clock, Deadline deadline) {
    const int port = plan_.proxy_port("primary");
    for (;;) {
        if (auto go = keep_going(); !go) co_return go;
        if (co_await write_once(clock, port)) co_return Result<>();
        if (!running(layout_.pid_file(Layout::proxy_name)))
            co_return fail(Errc::process_failed,
                           fmt::format("the proxy has ended; {}", last_words(layout_.proxy_log())),
                           "see " + layout_.proxy_log());
        if (clock.now() >= deadline)
            co_return fail(Errc::timed_out, fmt::format("no write gets through the proxy's port {} yet", port),
                           "see " + layout_.proxy_log());
        co_await clock.sleep_for(poll);
    }
}

Task<Result<>> Cluster::wait_for_replicas(Clock& clock, Deadline deadline) {
    for (;;) {
        if (auto go = keep_going(); !go) co_return go;
        const ClusterStatus now = co_await status(clock);
        const int wanted = static_cast<int>(plan_.nodes.size()) - 1;
        if (now.has_leader() && now.streaming_replicas() >= wanted) co_return Result<>();
        if (clock.now() >= deadline) {
            std::string late;
            for (const NodeStatus& node : now.nodes)
                if (node.role != "leader" && node.state != "streaming" && node.state != "running")
                    late += fmt::format("{}{} ({})", late.empty() ? "" : ", ", node.name,
                                        node.state.empty() ? "not a member yet" : node.state);
            co_return fail(Errc::timed_out, fmt::format("not every replica streams yet: {}", late),
                           "they go on by themselves; see `pgkeel logs`");
        }
        co_await clock.sleep_for(poll);
    }
}

}  // namespace pgkeel::local
