#pragma once
#include "base/result.hpp"

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

// How a command joins the program: one file per command (switchover.cpp, …) with one `add_NAME` that describes its
// options and says what to run. cli.cpp calls them, parses, and runs what was chosen; nothing runs while the command
// line is being read.

namespace pgkeel::cli {

/// What the command line asked for. It lives until the command has ended, so options may be kept by reference in the
/// action.
struct Context {
    /// Returns the exit status: 0 done, 1 failed, 2 wrong usage.
    std::function<int()> action;
    /// What stood behind "--": for the program that the command runs (psql).
    std::vector<std::string> passed_on;
};

// One node.
void add_agent(CLI::App& app, Context& context);
void add_guardian(CLI::App& app, Context& context);
void add_proxy(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);

// The cluster on this machine.
void add_up(CLI::App& app, Context& context);
void add_down(CLI::App& app, Context& context);
void add_logs(CLI::App& app, Context& context);
void add_psql(CLI::App& app, Context& context);

/// Every command that talks to a cluster (list, switchover, …): cluster_commands.cpp calls their add_ functions.
void add_cluster_commands(CLI::App& app, Context& context);

/// Says what failed on stderr, the hint below it, and returns the exit status that belongs to it: 2 for invalid input,
/// else 1.
int report(const Error& error);

/// Where the commands find their cluster: what `-c FILE` names, else the cluster of `--dir DIR`, else the one that
/// `pgkeel up` started last. Errors: not_found, with what was looked at.
struct ClusterChoice {
    std::string config_file;
    std::string directory;
};
/// Adds -c/--config-file and --dir to a command; `choice` must outlive the parsing.
void add_cluster_options(CLI::App& command, ClusterChoice& choice);
/// The path of a file for config::load_client_config.
Result<std::string> find_cluster_config(const ClusterChoice& choice);

}  // namespace pgkeel::cli
