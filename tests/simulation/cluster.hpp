#pragma once
#include "agent/node.hpp"
#include "simulation/machine.hpp"
#include "simulation/sim_etcd.hpp"
#include "simulation/sim_server.hpp"

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pgkeel::simulation {

struct ClusterOptions {
    bool journal = false;    ///< keep what happens, for `World::journal`
    bool long_life = false;  ///< one minute of faults and more in place of a few elections
};

/// A whole cluster of real agents (agent::Node, ha::decide, the transactions) on a virtual clock, etcd, network and
/// PostgreSQL.
///
/// After every event it checks what must never be: two machines that could acknowledge a write, a promotion or a start
/// as primary without the leader key, a planned switchover that loses something, an election that passes over somebody
/// with more WAL, an agent that turns round and round while no time passes; and with synchronous replication: a commit
/// that was acknowledged and is not in the history of whoever leads next, or could be missing there.
class Cluster {
  public:
    explicit Cluster(std::uint64_t seed, ClusterOptions options = {});
    ~Cluster();

    /// Runs to the end or to the first violation. Empty: everything held.
    std::string run();

    World& world() { return world_; }
    std::string describe() const;
    std::uint64_t failovers() const { return promotions_; }
    std::uint64_t faults() const { return faults_made_; }

    // What the parts ask.
    const Machine* reachable_machine(const std::string& from, const std::string& to) const;
    /// The same for what a standby follows, which may be another cluster's primary.
    const Machine* source_machine(const std::string& from, const std::string& name) const;
    void became(Machine& machine, const std::string& what);
    /// "requested timeline … is not a child of this server's history": a standby that finds the history of the newest
    /// timeline in the archive, and has WAL of its own beyond where that one begins, does not start.
    bool archive_forbids_start_of(const Machine& machine) const;
    /// What a promotion goes on to: one more than its own, or than the newest in the archive.
    Timeline next_timeline(const Machine& machine) const;
    void ship_wal_of(Machine& primary);
    void ended_in_order(const Machine& primary);
    void asked_to_promote(Machine& machine);
    cluster::FailsafeAnswer ask_failsafe(const std::string& from, const std::string& to,
                                         const cluster::FailsafeCall& call);
    PeerStatus peer_status(const std::string& from, const std::string& to) const;
    template <class... Args>
    void noted(fmt::format_string<Args...> text, Args&&... args) {
        if (options_.journal) world_.note(fmt::format(text, std::forward<Args>(args)...));
    }
    double start_failures = 0;

    void violate(std::string what);

  private:
    struct Host;
    Host* host(const std::string& name) const;
    const Machine* machine(const std::string& name) const;
    bool linked(const std::string& a, const std::string& b) const { return !cut_.contains({a, b}); }
    void start_agent(Host& host);
    void kill_agent(Host& host);
    void kill_agent_for(Host& host, Duration length);
    bool poll_and_check();
    void tick();
    void schedule_fault();
    void make_fault();
    void stand_still(Host& victim, Duration length);
    void heal();
    std::string check_liveness() const;
    void request_switchover();
    Machine& machine_of(Host& host) const;
    void change_synchronous_mode();
    // wal_flow.cpp
    const std::optional<SyncKey>& sync_key() const;
    void acknowledge(Machine& primary, Lsn position);
    void release_by(Machine& primary, const std::string& standby);
    bool streams(const Machine& primary, const Machine& standby) const;
    void flow_from(Machine& primary);
    void check_overlap();
    void check_acknowledged(const Machine& promoted);
    void check_promotion(const Machine& machine);
    void check_election();
    void check_heartbeats();
    bool poll_agents();
    bool in_peace_since(Instant begin) const;
    static cluster::Keys keys() { return {"/service/sim/"}; }
    std::string config_text(const std::string& standby_cluster) const;
    // remote_cluster.cpp
    bool follows_another_cluster() const { return seed_ % 5 == 0; }
    const Machine& on_the_newest_timeline() const;
    /// Runs for `time`, or until the cluster has been alive for a while.
    void run_until_alive(Duration time);
    void plan_demotion_and_promotion(Duration fault_time);
    void follow_another_cluster();
    void stand_alone_again();
    void patch_config(const std::string& standby_cluster);

    std::uint64_t seed_;
    ClusterOptions options_;
    World world_;
    SimEtcd etcd_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::optional<Machine> remote_;                      ///< of another cluster, once this one has followed it
    std::set<std::pair<std::string, std::string>> cut_;  ///< directed; "etcd" is a place too
    std::set<int> kinds_;                                ///< kinds of fault this seed draws from
    /// A primary that was stopped in order: who takes over from it without a fault in between must have all of its WAL.
    struct OrderlyEnd {
        std::string name;
        Timeline timeline;
        Lsn position;
        Instant when{};
    };
    std::optional<OrderlyEnd> orderly_end_;
    struct Heartbeat {
        StatusKey status;
        Instant when{};
    };
    Heartbeat last_heartbeat_;
    etcd::Revision led_since_ = 0;
    std::string led_by_;
    std::string requested_;  ///< whom an operator wanted to lead, since the last promotion
    Instant last_fault_{};   ///< made, or over
    std::string violation_;
    mutable std::optional<SyncKey> sync_seen_;
    mutable etcd::Revision sync_seen_at_ = 0;
    etcd::Revision checked_at_ = 0;
    std::map<Timeline, Lsn> acknowledged_;  ///< to clients, under the key `sync`
    int last_pid_ = 0;
    std::string mode_ = "off";  ///< synchronous_mode
    bool strict_ = false;
    int node_count_ = 1;
    Duration faults_apart_{};  ///< at most
    bool archive_ = false;     ///< all nodes share one
    bool failsafe_ = false;
    int ttl_ = 5;
    bool faulty_ = false;
    std::uint64_t promotions_ = 0;
    std::uint64_t faults_made_ = 0;
};

}  // namespace pgkeel::simulation
