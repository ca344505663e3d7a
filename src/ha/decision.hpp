#pragma once
#include "base/clock.hpp"

#include <string>
#include <variant>
#include <vector>

namespace pgkeel::ha {

/// Why an action was chosen: one value per rule, so that logs, tests and `pgkeel why` name the rule.
enum class Reason {
    // nothing to do
    leading,
    following,
    operation_in_progress,
    paused,
    server_starting,
    waiting_for_bootstrap,
    waiting_for_leader,
    waiting_for_race,  ///< the lease may not be taken yet
    not_the_healthiest,
    not_allowed_to_promote,
    data_damaged,
    yielding,  ///< the lease was just released for others
    store_unreachable,
    start_failed_recently,
    initialize_missing,
    // asking
    peers_unknown,
    suspicion,  ///< the heartbeat is late: the peers are asked before it matters
    // doing
    new_cluster,
    data_missing,
    foreign_data,
    system_identifier_mismatch,
    orphaned_backends,
    postmaster_halted,
    crashed,
    failover_preferred_to_restart,
    start_failed,
    server_down,
    election_won,
    lease_is_ours,
    leader_in_recovery,
    manual_candidate,
    switchover_requested,
    switchover_impossible,
    lease_lost,
    lease_expiring,
    another_leader,
    no_right_to_lead,
    not_fenced,    ///< nothing would end this node's writes if its agent cannot
    cannot_write,  ///< its volumes take nothing, and somebody else's do
    leader_without_server,
    old_key,  ///< the leader key comes from an etcd that was restored
    leader_changed,
    histories_unknown,
    history_diverged,
    reinit_requested,
    history_outdated,
    startup_too_slow,
    standby_cluster,  ///< nobody may be a primary here
};
const char* to_string(Reason reason);

/// How a primary is stopped (patroni-style names): what happens to the lease, and how much time there is.
enum class Demotion {
    graceful,            ///< fast stop after a checkpoint; the lease is released when the candidate has everything
    immediate,           ///< immediate stop, then release
    immediate_nolock,    ///< the lease is not ours any more
    offline,             ///< etcd does not answer, the lease is about to end
    to_standby_cluster,  ///< fast stop after a checkpoint; the lease is kept: this node goes on leading, in recovery
};
const char* to_string(Demotion demotion);

struct Wait {};
struct ProbePeers {
    std::vector<std::string> names;
};
struct BootstrapCluster {};
struct ClaimInitialize {};  ///< write this server's system identifier where the key is missing
struct Clone {
    std::string from;
};  ///< empty: by a method that needs no leader
struct KillRemains {};
struct StartServer {
    bool as_primary = false;
    std::string follow;
};
struct Rejoin {
    std::string leader;
};  ///< empty: crash recovery only, nobody leads
struct TakeLease {};
struct AdoptLease {};
struct ReleaseLease {};
struct Promote {};
struct Demote {
    Demotion how = Demotion::graceful;
    std::string candidate;
};
struct Follow {
    std::string source;
};
struct CompareHistory {
    std::string leader;
};
struct Reinitialize {
    std::string from;
};
struct ClearFailover {};
struct UpdateHistory {};
struct CancelOperation {};
struct Exit {};  ///< the agent cannot go on; the text says why

using Action = std::variant<Wait, ProbePeers, BootstrapCluster, ClaimInitialize, Clone, KillRemains, StartServer,
                            Rejoin, TakeLease, AdoptLease, ReleaseLease, Promote, Demote, Follow, CompareHistory,
                            Reinitialize, ClearFailover, UpdateHistory, CancelOperation, Exit>;
const char* name_of(const Action& action);

struct Decision {
    Action action;
    Reason reason = Reason::following;
    std::string text;                     ///< one line for the log
    std::vector<std::string> notes = {};  ///< what was found on the way: one log line each
    Instant look_again = Instant::max();  ///< deciding again at this time may give something else
};

}  // namespace pgkeel::ha
