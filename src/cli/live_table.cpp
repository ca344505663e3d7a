#include "cli/live_table.hpp"
#include "cli/local_proxy.hpp"
#include "cli/put.hpp"

#include "cli/terminal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

constexpr Duration refresh = 500ms;

std::string state_of(const local::NodeStatus& node) {
    if (node.agent_runs) return node.state.empty() ? "starting" : node.state;
    return node.postgres_runs ? "agent gone, server runs" : "not running";
}

Colour colour_of(const local::NodeStatus& node) {
    if (!node.agent_runs) return Colour::red;
    if (node.role == "leader" || node.state == "streaming") return Colour::green;
    return Colour::yellow;
}

std::string local_time(WallTime now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    return fmt::format("{:%H:%M:%S}", parts);
}

bool anything_runs(const local::ClusterStatus& status) {
    return status.etcd_running > 0 || status.proxy_runs ||
           std::ranges::any_of(status.nodes,
                               [](const local::NodeStatus& node) { return node.agent_runs || node.postgres_runs; });
}
}  // namespace

std::string node_in_words(const local::NodeStatus& node) {
    std::string words = (node.role.empty() ? "" : node.role + ", ") + state_of(node);
    if (!node.timeline.empty()) words += ", timeline " + node.timeline;
    if (!node.lag.empty()) words += ", lag " + node.lag;
    return words;
}

std::string live_table_text(const local::ClusterStatus& status, const std::string& scope, const std::string& time,
                            std::size_t width) {
    Table table(
        {{"Member"}, {"Role"}, {"State", Align::left, true}, {"TL", Align::right}, {"Lag", Align::right}, {"Address"}});
    for (const local::NodeStatus& node : status.nodes)
        table.add({node.name, coloured(node.role, node.role == "leader" ? Colour::bold : Colour::none),
                   coloured(state_of(node), colour_of(node)), node.timeline, node.lag, node.address});
    std::string text = table.framed("Cluster: " + scope + " " + time, width);
    text += cut_to_width(fmt::format("etcd: {} of {} run", status.etcd_running, local::etcd_members), width) + "\n";
    text += cut_to_width(proxy_in_words(status.proxy, status.proxy_runs), width) + "\n";
    const bool down = !status.proxy_runs ||
                      std::ranges::any_of(status.nodes, [](const local::NodeStatus& node) { return !node.agent_runs; });
    text += cut_to_width(down || status.etcd_running < local::etcd_members
                             ? "Ctrl-C stops it; `pgkeel up -d` elsewhere starts what is missing"
                             : "Ctrl-C stops it",
                         width) +
            "\n";
    return text;
}

void LiveTable::draw(const local::ClusterStatus& status) {
    const std::string text =
        live_table_text(status, cluster_.plan().scope, local_time(clock_.wall_now()), terminal_width());
    // Up to where the last one began, and over it.
    if (lines_drawn_ > 0) put("\033[{}A\r\033[J", lines_drawn_);
    put("{}", text);
    std::fflush(stdout);
    lines_drawn_ = static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

void LiveTable::print_change(const std::string& name, const std::string& words) {
    std::string& last = printed_[name];
    if (last == words) return;
    last = words;
    put("{} {}: {}\n", local_time(clock_.wall_now()), name, words);
}

void LiveTable::print_changes(const local::ClusterStatus& status) {
    for (const local::NodeStatus& node : status.nodes) {
        // The lag moves all the time; who reads a log wants to know of roles and states.
        local::NodeStatus essence = node;
        essence.lag.clear();
        print_change(node.name, node_in_words(essence));
    }
    print_change(local::Layout::proxy_name, status.proxy_runs ? "running" : "not running");
    std::fflush(stdout);
}

Task<LiveTable::End> LiveTable::show() {
    const bool in_place = is_terminal(1);
    while (!ended_) {
        const local::ClusterStatus status = co_await cluster_.status(clock_);
        if (!anything_runs(status)) co_return End::cluster_gone;
        if (in_place) {
            draw(status);
        } else {
            print_changes(status);
        }
        co_await wake_.wait(clock_, clock_.now() + refresh);
    }
    co_return End::asked;
}

void LiveTable::end() {
    ended_ = true;
    wake_.set();
}

}  // namespace pgkeel::cli
