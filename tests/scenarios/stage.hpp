#pragma once
#include "base/cluster_view.hpp"
#include "ha/decide.hpp"
#include "simulation/machine.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pgkeel::scenarios {

/// One node: its PostgreSQL, and what its agent remembers between two decisions.
struct Actor {
    simulation::Machine machine;
    ha::Snapshot memory;
    Tags tags;
    ServerAbilities abilities{.can_rewind = true, .has_bootstrap_section = true};
    bool agent_runs = true;
    bool host_runs = true;
    bool runs_patroni = false;
    bool holds_operations = false;  ///< what it begins goes on until `finish`
    bool starts_fail = false;
    bool replication_stuck = false;
    bool orphans = false;             ///< backends are left and their postmaster is not
    bool checkpoint_pending = false;  ///< promoted since the last decision
    std::optional<ha::Action> begun;  ///< while `memory.operation` runs
    Instant seen_by_etcd{};           ///< its lease in etcd ends ttl after this
};

/// The cluster of one scenario: etcd's keys, the nodes and the clock. Time stands still but for `advance`, decisions
/// are made only by `tick`, and what is decided is done at once, so that a story has no more lines than it needs.
///
/// It keeps to what the agent does around a decision (agent/node.cpp, agent/lease_keeper.cpp) in the plainest form:
/// renewals succeed while etcd is reached, and a lease that could not be renewed ends with everything of the server
/// killed.
class Stage {
  public:
    /// The lines that came out since the last call.
    std::vector<std::string> take_lines() { return std::exchange(lines_, {}); }

    void add_node(const std::string& name, const std::string& what, Lsn position, Timeline timeline);
    /// Everything as it is after a while of peace under `leader`; empty: nobody leads.
    void settle(const std::string& leader);

    void advance(Duration time);
    void tick(const std::set<std::string>& names);
    void show();

    Actor& actor(const std::string& name);
    bool exists(const std::string& name) const { return actors_.contains(name); }
    void kill_postgres(const std::string& name);
    void kill_agent(const std::string& name);
    void kill_host(const std::string& name);
    void start_agent(const std::string& name);
    void finish(const std::string& name, bool failed);
    void write(std::uint64_t bytes);
    void lag(const std::string& name, std::uint64_t bytes);
    void request(FailoverRequest request);
    void delete_key(const std::string& key);
    void write_sync(SyncKey sync);
    void write_failsafe(std::map<std::string, std::string> api_urls);
    /// POST /failsafe by the leader.
    void accept_failsafe(const std::string& name);
    void wipe_etcd();
    void promote_by_hand(const std::string& name);
    void restore_heartbeat(std::uint64_t heartbeat);
    /// Another cluster's primary, promoted from a copy of this one.
    void add_remote(const std::string& host);
    void remote_promoted();
    WallTime wall_now() const;

    ClusterSettings settings;
    bool etcd_answers = true;
    Duration leases_extended{};                         ///< etcd's own timers run this much longer than ttl
    std::set<std::pair<std::string, std::string>> cut;  ///< both orders; "etcd" is a place too

  private:
    template <class... Args>
    void say(fmt::format_string<Args...> text, Args&&... args) {
        lines_.push_back(fmt::format(text, std::forward<Args>(args)...));
    }
    bool reaches(const std::string& from, const std::string& to) const;
    /// What a standby follows, by its name; nothing while it cannot be reached.
    const simulation::Machine* source_of(const std::string& name, const std::string& source) const;
    bool reaches_etcd(const std::string& name) const { return etcd_answers && !cut.contains({name, "etcd"}); }
    void renew(const std::string& name, Actor& actor);
    void expire_keys();
    void ship_wal();
    void check() const;

    ServerState observe(const Actor& actor) const;
    PeerStatus ask(const std::string& from, const std::string& to) const;
    void look(const std::string& name, Actor& actor);
    void publish(const std::string& name, Actor& actor);
    void print(const std::string& name, const ha::Decision& decision);

    /// True: decide again at once.
    bool carry_out(const std::string& name, Actor& actor, const ha::Action& action);
    void complete(const std::string& name, Actor& actor, const ha::Action& action);
    bool take_lease(const std::string& name, Actor& actor);
    void release_lease(const std::string& name, Actor& actor);
    void start_server(Actor& actor, bool as_primary, const std::string& follow);
    void copy_from(Actor& actor, const std::string& source);
    void stop_server(Actor& actor, bool in_order);
    void bootstrap(const std::string& name, Actor& actor);
    void open_key(const std::string& name, Actor& actor);
    std::int64_t next_revision() { return ++etcd_.revision; }

    std::map<std::string, Actor> actors_;
    std::optional<simulation::Machine> remote_;
    ClusterView etcd_;
    Instant now_{std::chrono::hours(1)};
    std::vector<std::string> lines_;
};

/// What a promotion does to a standby.
void promote(simulation::Machine& machine);

/// The decision as a line shows it: the action with what it is about.
std::string describe(const ha::Action& action);

}  // namespace pgkeel::scenarios
