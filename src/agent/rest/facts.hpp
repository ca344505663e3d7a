#pragma once
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>

namespace pgkeel::agent {
class Node;
}

namespace pgkeel::agent::rest {

/// What the health checks, the status and the metrics say of this node. Plain data, so that what is made of it is pure.
struct NodeFacts {
    std::string name;
    std::string scope;
    std::string patroni_version;
    std::string state;  ///< Patroni's words: "running", "creating replica", …
    Role role = Role::uninitialized;
    ServerState server;
    bool holds_lease = false;
    bool is_open = true;  ///< false: what this primary shows may not be on its synchronous standbys yet
    double lease_seconds_left = 0;
    std::int64_t epoch = 0;  ///< of the leader key, whoever holds it
    bool has_view = false;   ///< etcd answered the last time it was asked
    bool cluster_unlocked = true;
    bool paused = false;
    bool failsafe_mode = false;
    bool failsafe_is_active = false;  ///< a leader goes on without etcd: this one, or one that this node has let
    bool failsafe_member = false;     ///< the key `failsafe` names this node
    /// PostgreSQL was not asked just now, or has not read all the WAL on its own disk: it may have more than it says.
    bool position_known = true;
    bool standby_cluster = false;
    bool sync_standby = false;
    bool quorum_standby = false;
    Lsn leader_position;  ///< the newest that is known: of the key `status`, or heard from the sender
    std::uint64_t maximum_lag_on_failover_bytes = 0;
    double heartbeat_age_seconds = -1;   ///< since the leader's last sign of life; below zero: none was seen
    std::string operation;               ///< what takes longer than a tick and is going on; empty: nothing
    bool alive = false;                  ///< the loop comes round
    bool watchdog_failed = false;        ///< it is required, and does not work
    bool history_diverged = false;       ///< it has to be rewound before it can follow or lead
    std::string cannot_write;            ///< why its volumes take nothing; empty: they do
    std::int64_t store_last_seen_s = 0;  ///< Unix time
    Tags tags;
    boost::json::object published_tags;
    std::optional<boost::json::object> scheduled_restart;
};

/// \param server  PostgreSQL as it was seen a moment ago, maybe by others than the node's loop
NodeFacts facts_of(const Node& node, const ServerState& server, Instant now);

}  // namespace pgkeel::agent::rest
