#include "cli/cluster_choice.hpp"
#include "cli/commands.hpp"
#include "cli/put.hpp"
#include "cli/terminal.hpp"
#include "local/log_lines.hpp"
#include "local/plan.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <thread>

namespace pgkeel::cli {

namespace {
struct LogsFlags {
    std::string directory;
    std::string node;
    bool follow = false;
    std::size_t lines = 100;
};

Result<std::vector<local::GrowingFile>> choose_files(const local::Plan& plan, const local::Layout& layout,
                                                     const std::string& node) {
    std::vector<local::GrowingFile> files;
    for (const local::NodePlan& each : plan.nodes) {
        if (!node.empty() && node != each.name) continue;
        files.emplace_back(layout.agent_log(each.name), each.name + " agent");
        files.emplace_back(layout.postgres_log(each.name), each.name + " postgres");
    }
    if (node.empty() || node == local::Layout::proxy_name)
        files.emplace_back(layout.proxy_log(), local::Layout::proxy_name);
    for (const local::EtcdPlan& each : plan.etcd)  // very talkative: only when asked for
        if (node == each.name) files.emplace_back(layout.etcd_log(each.name), each.name);
    if (!files.empty()) return files;
    std::string names;
    for (const local::NodePlan& each : plan.nodes) names += each.name + ", ";
    for (const local::EtcdPlan& each : plan.etcd) names += each.name + ", ";
    names += local::Layout::proxy_name;
    return fail(Errc::invalid_input, fmt::format("the cluster {} has no node '{}'", plan.scope, node),
                "its nodes: " + names);
}

bool show(const local::LogEntry& entry, std::size_t source_width) {
    const std::string label = fmt::format("{:<{}} |", entry.source, source_width);
    const std::string shown = coloured(label, Colour::dim);
    std::string_view rest = entry.text;
    while (true) {
        const auto end = rest.find('\n');
        cli::put("{} {}\n", shown, rest.substr(0, end));
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return std::fflush(stdout) == 0;
}

int run_logs(const LogsFlags& flags) {
    const local::Layout layout{local_directory(flags.directory)};
    const auto plan = local::load_plan(layout);
    if (!plan) return report(plan.error());
    auto files = choose_files(*plan, layout, flags.node);
    if (!files) return report(files.error());
    std::size_t width = 0;
    for (const local::GrowingFile& file : *files) width = std::max(width, file.source().size());
    std::size_t most = flags.lines;
    for (;;) {
        std::vector<std::vector<local::LogEntry>> logs;
        for (local::GrowingFile& file : *files)
            logs.push_back(local::log_entries(file.read_new_lines(), file.source()));
        for (const local::LogEntry& entry : local::merge_logs(std::move(logs), most))
            if (!show(entry, width)) return 0;  // whoever read us has gone
        if (!flags.follow) return 0;
        most = std::numeric_limits<std::size_t>::max();
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}
}  // namespace

void add_logs(CLI::App& app, Context& context) {
    auto* command =
        app.add_subcommand("logs", "what agents, PostgreSQL and the proxy have to say, in the order of time");
    auto flags = std::make_shared<LogsFlags>();
    command->add_option("NODE", flags->node, "one alone: a node (pg-a), a member of etcd (etcd-1), or proxy");
    command->add_option("--dir", flags->directory, directory_help);
    command->add_flag("-f,--follow", flags->follow, "go on with what is written from now on");
    command->add_option("-n,--lines", flags->lines, "how many of the last entries")->capture_default_str();
    command->footer("Example:\n  pgkeel logs pg-a -f");
    command->callback([flags, &context] { context.action = [flags] { return run_logs(*flags); }; });
}

}  // namespace pgkeel::cli
