#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"
#include "http/client.hpp"
#include "local/etcd_server.hpp"
#include "local/plan.hpp"
#include "local/prepare.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A whole cluster on this machine: etcd, agents and their PostgreSQL, and a proxy as processes of their own, which
// outlive whoever started them. `pgkeel up` and the integration tests use it. As root, call `prepare` (or `become`)
// first: servers get this process's user.

namespace pgkeel::local {

/// One line about what is going on, for people.
using Say = std::function<void(const std::string&)>;

/// One node as its own and the others' agents see it.
struct NodeStatus {
    std::string name;
    bool agent_runs = false;
    bool postgres_runs = false;
    std::string role;   ///< as /cluster says: leader, replica, …; empty: nobody knows of it
    std::string state;  ///< running, streaming, starting, …
    std::string timeline;
    std::string lag;  ///< bytes, "unknown", or empty
    std::string address;
};

struct ClusterStatus {
    int etcd_running = 0;
    std::vector<NodeStatus> nodes;
    bool proxy_runs = false;
    std::vector<ProxyPort> proxy{};
    bool has_leader() const;
    int streaming_replicas() const;
};

class Cluster {
  public:
    Cluster(Plan plan, Layout layout);
    /// A cluster that exists. Errors: not_found, invalid_input.
    static Result<std::unique_ptr<Cluster>> open(const std::string& directory);

    const Plan& plan() const { return plan_; }
    const Layout& layout() const { return layout_; }

    struct Started {
        std::vector<std::string> running_before;
        std::vector<std::string> started;
    };
    /// Starts what does not run: etcd first, then the agents and the proxy. Comes back when etcd serves; the others go
    /// on by themselves. An empty program: this one.
    /// Errors: process_failed, timed_out — with the end of the log of the server concerned.
    Task<Result<Started>> start(Clock& clock, Programs programs, std::vector<std::string> agent_program,
                                std::vector<std::string> proxy_program, Say say);

    /// Comes back when some node has committed a write; returns its name.
    /// Errors: timed_out; process_failed — every agent has ended.
    Task<Result<std::string>> wait_for_writes(Clock& clock, Deadline deadline);
    /// Comes back when a write has been committed through the proxy. Errors: timed_out; process_failed — it has ended.
    Task<Result<>> wait_for_proxy(Clock& clock, Deadline deadline);
    /// Comes back when every node but the leader streams. Errors: timed_out, with those that do not.
    Task<Result<>> wait_for_replicas(Clock& clock, Deadline deadline);
    Task<ClusterStatus> status(Clock& clock);

    /// Stops `agents` (all when empty), standbys before the leader, each with its PostgreSQL. Errors: timed_out,
    /// denied.
    Task<Result<>> stop_agents(Clock& clock, std::vector<std::string> agents, Say say);
    /// Its clients lose their connections, as they do when PostgreSQL is stopped. Errors: timed_out, denied.
    Task<Result<>> stop_proxy(Clock& clock, Say say);
    /// Stops everything: the proxy, agents with PostgreSQL, then etcd.
    Task<Result<>> stop(Clock& clock, Say say);
    /// Makes `start` and the waits end with Errc::cancelled at their next look.
    void interrupt() { interrupted_ = true; }
    bool interrupted() const { return interrupted_; }

    /// Names of what runs now: agents (and PostgreSQL left alone by a dead agent), etcd and the proxy.
    std::vector<std::string> running_now() const;

  private:
    Result<> start_process(Command command, const std::string& name);
    Task<Result<>> start_etcd(Clock& clock, std::string program, Started& started, Say say);
    Task<bool> write_once(Clock& clock, int port);
    Task<Result<>> stop_node(Clock& clock, std::string name, Deadline deadline);
    Task<Result<>> stop_process(Clock& clock, std::string name, int signal, Deadline deadline);
    Result<> keep_going() const;
    std::string last_words(const std::string& log_file) const;

    Plan plan_;
    Layout layout_;
    EtcdAdmin etcd_;
    http::Client rest_;
    bool interrupted_ = false;
};

}  // namespace pgkeel::local
