#include "cli/cluster_choice.hpp"
#include "cli/commands.hpp"
#include "cli/event_loop.hpp"
#include "cli/live_table.hpp"
#include "cli/put.hpp"
#include "cli/terminal.hpp"
#include "local/cluster.hpp"
#include "local/generated_files.hpp"
#include "local/proxy_listeners.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

constexpr Duration writes_max = 120s;
constexpr Duration replicas_max = 60s;
constexpr Duration proxy_max = 20s;
constexpr Duration between_news = 2s;
constexpr Duration same_news = 10s;

struct UpFlags {
    int nodes = 0;
    std::string directory;
    std::string scope;
    std::string agent_program;
    bool detach = false;
    bool not_current = false;
};

/// What happens, on stderr, with the time since the start.
class Narration {
  public:
    explicit Narration(Clock& clock) : clock_(clock), began_(clock.now()) {}
    void say(const std::string& line) const { put(stderr, "[{:5.1f} s] {}\n", seconds(clock_.now() - began_), line); }
    /// What is being waited for: said when it changes, else now and then.
    void waiting(const std::string& line) {
        if (line == last_ && clock_.now() - said_ < same_news) return;
        last_ = line;
        said_ = clock_.now();
        say(line);
    }

  private:
    Clock& clock_;
    Instant began_;
    std::string last_;
    Instant said_{};
};

std::string joined(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    return list;
}

/// What the nodes are at, in one line.
std::string news(const local::ClusterStatus& status) {
    std::string line;
    for (const local::NodeStatus& node : status.nodes) {
        std::string state = node.state;
        if (state.empty()) state = node.agent_runs ? "its agent is starting" : "its agent does not run";
        line += fmt::format("{}{}: {}", line.empty() ? "" : ", ", node.name, state);
    }
    return line;
}

/// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%=,";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

void print_connection(const local::Cluster& cluster) {
    const local::Layout& layout = cluster.layout();
    put("\nConnect to the primary, wherever it is:\n"
        "  PGSERVICEFILE={} psql service={}\n"
        "  psql '{}'\n"
        "Through the proxy, whose addresses stay when the primary moves:\n",
        shell_word(layout.service_file()), cluster.plan().scope, local::connection_uri(cluster.plan(), layout));
    for (const local::ProxyListener& listener : local::proxy_listeners)
        put("  127.0.0.1:{}  {:<7}  {}\n", cluster.plan().proxy_port(listener.name), listener.name, listener.purpose);
    put("  PGSERVICEFILE={} psql service={}\n"
        "User postgres, password in {}; other roles can log in, too.\n"
        "See also: pgkeel psql [--proxy pooled], pgkeel list, pgkeel logs -f, pgkeel down\n",
        shell_word(layout.service_file()), local::proxy_service(cluster.plan(), "primary"), layout.password_file());
    std::fflush(stdout);
}

Task<Result<>> wait_until_it_serves(Clock& clock, local::Cluster& cluster, Narration& progress) {
    const Deadline writes_deadline = clock.now() + writes_max;
    for (;;) {
        const auto writable =
            co_await cluster.wait_for_writes(clock, std::min(writes_deadline, clock.now() + between_news));
        if (writable) {
            progress.say(fmt::format("writes work: {} is the primary", *writable));
            break;
        }
        const bool go_on = writable.error().code == Errc::timed_out && clock.now() < writes_deadline;
        if (!go_on) co_return std::unexpected(writable.error());
        progress.waiting("waiting for a primary: " + news(co_await cluster.status(clock)));
    }
    if (auto passed = co_await cluster.wait_for_proxy(clock, clock.now() + proxy_max); !passed) co_return passed;
    const Deadline replicas_deadline = clock.now() + replicas_max;
    for (;;) {
        const auto streaming =
            co_await cluster.wait_for_replicas(clock, std::min(replicas_deadline, clock.now() + between_news));
        if (streaming) break;
        if (streaming.error().code != Errc::timed_out) co_return streaming;
        if (clock.now() >= replicas_deadline) {
            progress.say(streaming.error().line());  // the cluster serves: late replicas are news, not a failure
            co_return Result<>();
        }
        progress.waiting("waiting for the replicas: " + news(co_await cluster.status(clock)));
    }
    if (cluster.plan().nodes.size() > 1) progress.say("every replica streams");
    co_return Result<>();
}

/// Stops what this command has started: everything when nothing ran before it.
Task<int> undo(Clock& clock, local::Cluster& cluster, local::Cluster::Started started, const Narration& progress) {
    const auto say = [&progress](const std::string& line) { progress.say(line); };
    Result<> stopped;
    if (started.running_before.empty()) {
        progress.say("stopping the cluster");
        stopped = co_await cluster.stop(clock, say);
    } else {
        std::vector<std::string> agents;
        for (const std::string& name : started.started)
            if (cluster.plan().node(name) != nullptr) agents.push_back(name);
        const bool proxy = std::ranges::find(started.started, local::Layout::proxy_name) != started.started.end();
        if (proxy) stopped = co_await cluster.stop_proxy(clock, say);
        if (stopped && !agents.empty()) stopped = co_await cluster.stop_agents(clock, agents, say);
        put(stderr, "still running, as before: {}; `pgkeel down` stops them\n", joined(started.running_before));
    }
    if (stopped) co_return 0;
    co_return report(stopped.error());
}

Task<int> up(Clock& clock, std::shared_ptr<local::Prepared> prepared, bool detach) {
    Narration progress(clock);
    local::Cluster cluster(prepared->plan, prepared->layout);
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM, SIGHUP);
    LiveTable table(clock, cluster);
    std::function<void()> listen = [&] {
        signals.async_wait([&](boost::system::error_code error, int) {
            if (error) return;
            if (cluster.interrupted()) {
                put(stderr, "interrupted again: leaving; `pgkeel down` stops what still runs\n");
                std::_Exit(130);
            }
            cluster.interrupt();
            table.end();
            listen();
        });
    };
    listen();

    const auto say = [&progress](const std::string& line) { progress.say(line); };
    const std::vector<std::string> before = cluster.running_now();
    if (prepared->is_new)
        progress.say(fmt::format("new cluster {} of {} nodes in {}", prepared->plan.scope, prepared->plan.nodes.size(),
                                 prepared->layout.directory));
    auto started =
        co_await cluster.start(clock, prepared->programs, prepared->agent_program, prepared->proxy_program, say);
    local::Cluster::Started known{.running_before = before, .started = {}};
    if (started) known = *started;
    Result<> serves = started ? Result<>() : std::unexpected(started.error());
    if (started) {
        if (!started->running_before.empty()) progress.say("running already: " + joined(started->running_before));
        if (!started->started.empty()) progress.say("started: " + joined(started->started));
        serves = co_await wait_until_it_serves(clock, cluster, progress);
    }
    if (!serves && serves.error().code == Errc::cancelled) {
        co_await undo(clock, cluster, known, progress);
        co_return 130;
    }
    if (!serves) {
        const int failed = report(serves.error());
        if (!detach) co_await undo(clock, cluster, known, progress);
        co_return failed;
    }
    print_connection(cluster);
    if (detach) co_return 0;

    {
        const local::DirectoryLock released = std::move(prepared->lock);
    }  // another terminal may now start what dies
    if (co_await table.show() == LiveTable::End::cluster_gone) {
        put(stderr, "the cluster has been stopped by somebody else\n");
        co_return 0;
    }
    if (known.started.empty()) {
        put(stderr, "the cluster goes on; `pgkeel down` stops it\n");
        co_return 0;
    }
    const auto lock = local::DirectoryLock::take(prepared->layout.directory);
    if (!lock) {
        put(stderr, "another pgkeel is at work in {}: leaving everything as it is; `pgkeel down` stops it\n",
            prepared->layout.directory);
        co_return 1;
    }
    co_return co_await undo(clock, cluster, known, progress);
}

int run_up(const UpFlags& flags) {
    local::UpOptions options;
    options.directory = flags.directory.empty() ? local::default_directory() : local_directory(flags.directory);
    options.nodes = flags.nodes;
    options.scope = flags.scope;
    options.remember = !flags.not_current;
    if (!flags.agent_program.empty()) {
        auto words = split_shell_words(flags.agent_program);
        if (!words) return report(words.error());
        options.agent_program = std::move(*words);
    }
    auto prepared = local::prepare(options);
    if (!prepared) return report(prepared.error());
    auto shared = std::make_shared<local::Prepared>(std::move(*prepared));
    return run_task([shared, detach = flags.detach](Clock& clock) { return up(clock, shared, detach); });
}
}  // namespace

void add_up(CLI::App& app, Context& context) {
    auto* command = app.add_subcommand("up", "start a whole cluster on this machine: etcd, agents, PostgreSQL, proxy");
    auto flags = std::make_shared<UpFlags>();
    command->add_option("-n,--nodes", flags->nodes, "number of PostgreSQL nodes (default: 3, or as many as there are)")
        ->check(CLI::Range(1, local::nodes_max));
    command->add_option("--dir", flags->directory,
                        fmt::format("where everything is kept (default: {})", local::default_directory()));
    command->add_option("--scope", flags->scope, "name of a new cluster (default: demo)");
    command->add_flag("-d,--detach", flags->detach, "come back once writes work; the cluster goes on by itself");
    // For tests and comparisons: any program that takes a Patroni file.
    command->add_option("--agent-program", flags->agent_program)->group("");
    command->add_flag("--not-current", flags->not_current)->group("");  // leaves the user's own cluster the current one
    command->footer(
        "Without -d a live table is shown and Ctrl-C stops what was started. Safe to run again: starts only what is "
        "missing.\n"
        "Example:\n  pgkeel up -d && pgkeel psql -- -c 'select version()'");
    command->callback([flags, &context] { context.action = [flags] { return run_up(*flags); }; });
}

}  // namespace pgkeel::cli
