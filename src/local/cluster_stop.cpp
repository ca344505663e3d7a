#include "async/spawn.hpp"
#include "local/cluster.hpp"
#include "local/process_id.hpp"

#include <fmt/format.h>

#include <signal.h>

#include <algorithm>

namespace pgkeel::local {

namespace {
using namespace std::chrono_literals;

constexpr Duration poll = 50ms;
constexpr Duration agent_stop_max = 60s;  ///< a shutdown checkpoint may have much to write
constexpr Duration etcd_stop_max = 10s;
constexpr Duration kill_max = 5s;

Task<> keep_first_error(Task<Result<>> task, Result<>& first) {
    Result<> result = co_await std::move(task);
    if (!result && first) first = std::move(result);
}
}  // namespace

std::vector<std::string> Cluster::running_now() const {
    std::vector<std::string> names;
    for (const NodePlan& node : plan_.nodes)
        if (running(layout_.pid_file(node.name)) || running_postmaster(layout_.data(node.name)))
            names.push_back(node.name);
    for (const EtcdPlan& member : plan_.etcd)
        if (running(layout_.pid_file(member.name))) names.push_back(member.name);
    if (running(layout_.pid_file(Layout::proxy_name))) names.emplace_back(Layout::proxy_name);
    return names;
}

Task<Result<>> Cluster::stop_process(Clock& clock, std::string name, int signal, Deadline deadline) {
    const auto process = running(layout_.pid_file(name));
    if (!process) co_return Result<>();
    if (auto sent = send_signal(*process, signal); !sent) co_return std::unexpected(sent.error());
    while (is_alive(*process) && clock.now() < deadline) co_await clock.sleep_for(poll);
    if (is_alive(*process)) {
        if (auto sent = send_signal(*process, SIGKILL); !sent) co_return std::unexpected(sent.error());
        const Deadline last = clock.now() + kill_max;
        while (is_alive(*process) && clock.now() < last) co_await clock.sleep_for(poll);
    }
    if (is_alive(*process))
        co_return fail(Errc::timed_out,
                       fmt::format("{} (pid {}) does not end, not even by SIGKILL", name, process->pid),
                       "it may hang in the kernel on a disk: see its state in /proc");
    co_return Result<>();
}

Task<Result<>> Cluster::stop_node(Clock& clock, std::string name, Deadline deadline) {
    if (auto stopped = co_await stop_process(clock, name, SIGTERM, deadline); !stopped) co_return stopped;
    // The agent takes PostgreSQL down with it. One that was killed, or is paused, does not.
    for (const int signal : {SIGINT, SIGQUIT, SIGKILL}) {
        const auto postmaster = running_postmaster(layout_.data(name));
        if (!postmaster) co_return Result<>();
        if (auto sent = send_signal(*postmaster, signal); !sent) co_return std::unexpected(sent.error());
        const Deadline patience =
            signal == SIGINT ? std::max(deadline, clock.now() + kill_max) : clock.now() + kill_max;
        while (is_alive(*postmaster) && clock.now() < patience) co_await clock.sleep_for(poll);
    }
    if (running_postmaster(layout_.data(name)))
        co_return fail(Errc::timed_out, fmt::format("PostgreSQL of {} does not end, not even by SIGKILL", name),
                       "it may hang in the kernel on a disk: see its state in /proc");
    co_return Result<>();
}

Task<Result<>> Cluster::stop_agents(Clock& clock, std::vector<std::string> agents, Say say) {
    if (agents.empty())
        for (const NodePlan& node : plan_.nodes) agents.push_back(node.name);
    // Standbys first: the other way round, one of them would be promoted only to be stopped.
    const ClusterStatus now = co_await status(clock);
    std::vector<std::string> leaders;
    std::vector<std::string> others;
    for (const std::string& name : agents) {
        const auto row = std::ranges::find(now.nodes, name, &NodeStatus::name);
        const bool leads = row != now.nodes.end() && row->role == "leader";
        (leads ? leaders : others).push_back(name);
    }
    Result<> result;
    for (const auto& group : {others, leaders}) {
        std::vector<Task<>> tasks;
        const Deadline deadline = clock.now() + agent_stop_max;
        for (const std::string& name : group)
            tasks.push_back(keep_first_error(stop_node(clock, name, deadline), result));
        co_await all_of(std::move(tasks));
        if (!result) co_return result;
        for (const std::string& name : group) say(fmt::format("{} has stopped", name));
    }
    co_return result;
}

Task<Result<>> Cluster::stop_proxy(Clock& clock, Say say) {
    const std::string name = Layout::proxy_name;
    if (!running(layout_.pid_file(name))) co_return Result<>();
    // Not SIGTERM: that waits for the clients to go.
    auto stopped = co_await stop_process(clock, name, SIGQUIT, clock.now() + kill_max);
    if (stopped) say("the proxy has stopped");
    co_return stopped;
}

Task<Result<>> Cluster::stop(Clock& clock, Say say) {
    // First: its clients would only see one server after the other go.
    if (auto stopped = co_await stop_proxy(clock, say); !stopped) co_return stopped;
    if (auto stopped = co_await stop_agents(clock, {}, say); !stopped) co_return stopped;
    // One after the other: etcd's leader hands its office over before it ends, and waits 7 s for members that are
    // ending as well.
    for (const EtcdPlan& member : plan_.etcd) {
        auto stopped = co_await stop_process(clock, member.name, SIGTERM, clock.now() + etcd_stop_max);
        if (!stopped) co_return stopped;
    }
    say("etcd has stopped");
    co_return Result<>();
}

}  // namespace pgkeel::local
