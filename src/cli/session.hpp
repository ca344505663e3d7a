#pragma once
#include "cli/commands.hpp"
#include "cluster/admin.hpp"
#include "config/agent_config.hpp"

#include <CLI/App.hpp>

#include <memory>

// What the commands that talk to a cluster have in common: how they find it, and their event loop with etcd and REST on
// it.

namespace pgkeel::cli {

/// Which cluster a command means.
struct ClusterTarget {
    ClusterChoice choice;
    bool insecure = false;           ///< -k: take any certificate of the REST API
    std::vector<std::string> words;  ///< positional: [CLUSTER] [MEMBER…]; Session::sort_words tells which is which
};

/// One command's connection to its cluster.
class Session {
  public:
    /// Reads the configuration. Nothing is connected before the first request.
    static Result<std::unique_ptr<Session>> open(Clock& clock, const ClusterTarget& target);
    ~Session();

    Clock& clock;
    const config::AgentConfig& config() const { return config_; }
    const std::string& scope() const { return config_.scope; }
    cluster::Admin& admin() { return *admin_; }
    etcd::Store& store() { return *store_; }

    /// Takes the cluster's name off the front of the words, as patronictl expects it there, and reads the cluster. A
    /// first word that is neither this cluster nor one of its members names another cluster in the same etcd.
    Task<Result<ClusterView>> view_of(std::vector<std::string>& words);
    Task<Result<ClusterView>> view();
    /// Deadline of a request that should be answered at once.
    Deadline soon() const;

  private:
    Session(Clock& the_clock, config::AgentConfig config, std::unique_ptr<etcd::Store> store);
    void use_scope(const std::string& scope);

    config::AgentConfig config_;
    std::unique_ptr<etcd::Store> store_;
    std::unique_ptr<cluster::Admin> admin_;
};

/// What every cluster command has; each command's options derive from it.
struct ClusterOptions : ClusterTarget {
    bool force = false;
    std::string format = "table";
};

/// Adds a command called `name`, whose help ends with `example`, with the options of ClusterTarget except the words.
CLI::App* add_cluster_command(CLI::App& app, const std::string& name, const std::string& description,
                              const std::string& example, ClusterTarget& target);
/// What stood before the command's name, as patronictl expects it there: `pgkeel -c FILE list`.
void take_common_options(const CLI::App& command, ClusterTarget& target);
void add_force_option(CLI::App& command, bool& force);
void add_format_option(CLI::App& command, std::string& format);

/// A command's work: returns the exit status, or what went wrong.
template <class Options>
using Work = Task<Result<int>> (*)(Session&, Options);
/// Opens the session on an event loop and runs `work`; an error of either is reported. Returns the exit status.
int run_session(const ClusterTarget& target, std::function<Task<Result<int>>(Session&)> work);

/// Makes `work` what runs when the command was chosen.
template <class Options>
void on_chosen(CLI::App* command, Context& context, std::shared_ptr<Options> options, Work<Options> work) {
    command->callback([&context, command, options, work] {
        take_common_options(*command, *options);
        context.action = [options, work] {
            return run_session(*options, [options, work](Session& session) { return work(session, *options); });
        };
    });
}

}  // namespace pgkeel::cli
