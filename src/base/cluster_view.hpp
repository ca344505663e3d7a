#pragma once
#include "base/lsn.hpp"
#include "base/settings.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The cluster as its etcd keys tell it. Plain data; `cluster/` fills it, `ha/` and the programs read it.

namespace pgkeel {

/// Role of a node as members publish it. `standby_leader`: leads a standby cluster, in recovery.
enum class Role { uninitialized, primary, standby_leader, replica, demoted };

/// What a node may and may not be used for (section `tags` of its file).
struct Tags {
    bool nofailover = false;
    bool noloadbalance = false;
    bool clonefrom = false;
    bool nosync = false;
    bool nostream = false;
    std::string replicatefrom;  ///< empty: stream from the leader
    int failover_priority = 1;  ///< effective value: 0 when nofailover
    int sync_priority = 1;
};

/// One key below `members/`.
struct Member {
    std::string name;
    std::string conn_url;  ///< postgres://host:port/db
    std::string host;      ///< of conn_url
    std::string port;
    std::string api_url;
    std::string state;  ///< "running", "streaming", "creating replica", …
    Role role = Role::uninitialized;
    std::string version;       ///< of the agent; pgkeel's own members also publish `pgkeel`
    bool runs_pgkeel = false;  ///< false: Patroni, whose rules then hold (docs/decisions/0002-lease.md)
    Timeline timeline;
    Lsn location;  ///< primary: flushed; standby: max(received, replayed)
    Lsn received;
    Lsn replayed;
    std::string replication_state;  ///< "streaming", "in archive recovery", or empty
    bool checkpoint_after_promote_pending = false;
    bool pending_restart = false;
    bool pause = false;
    Tags tags;
    std::string raw;  ///< the JSON text as stored, for what only people read
    std::int64_t lease = 0;
};

/// The key `leader`.
struct LeaderKey {
    std::string name;
    std::int64_t lease = 0;
    std::int64_t create_revision = 0;  ///< the leader's epoch: grows with every change of leader
    std::int64_t mod_revision = 0;
};

/// The key `status`. `heartbeat`, `holder`, `ttl_seconds` and `released_epoch` are pgkeel's and ignored by Patroni.
struct StatusKey {
    Lsn optime;
    std::map<std::string, Lsn> slots;
    std::vector<std::string> retain_slots;  ///< physical slots of members that every node keeps for a while
    std::uint64_t heartbeat = 0;            ///< grows with every renewal; 0: the leader is not pgkeel
    std::string holder;                     ///< who wrote the heartbeat
    std::int64_t ttl_seconds =
        0;  ///< the holder stops within this time of a heartbeat, whatever the configuration says since
    std::int64_t released_epoch = 0;  ///< epoch of the lease that was given up after its server had stopped
    /// Earlier leaders that released nothing and that the holder's fence_command has not dealt with yet.
    std::vector<std::string> unfenced;
    std::int64_t mod_revision = 0;  ///< 0: the key does not exist
};

/// The key `failover`: a request by an operator, cleared by writing {}.
struct FailoverRequest {
    std::string leader;        ///< the node to leave; empty: whoever leads (a failover)
    std::string candidate;     ///< empty: the best one
    std::string scheduled_at;  ///< ISO 8601 with zone; empty: now
    std::int64_t mod_revision = 0;
    bool is_switchover() const { return !leader.empty(); }
};

/// The key `sync`.
struct SyncKey {
    std::string leader;
    std::vector<std::string> members;
    int quorum = 0;
    std::int64_t mod_revision = 0;
};

/// One line of the key `history`: timeline `timeline` ended at `lsn`.
struct HistoryEntry {
    Timeline timeline;
    Lsn lsn;
    std::string reason;
    std::string at;          ///< ISO 8601, may be empty
    std::string new_leader;  ///< may be empty
};

struct ClusterView {
    std::int64_t revision = 0;              ///< of etcd, when this was read
    std::optional<std::string> initialize;  ///< system identifier; or the id of the node that bootstraps, or empty
    std::optional<std::string> config;      ///< dynamic configuration, JSON text
    std::int64_t config_mod_revision = 0;
    std::optional<LeaderKey> leader;
    StatusKey status;
    std::vector<Member> members;  ///< sorted by name
    std::optional<FailoverRequest> failover;
    std::optional<SyncKey> sync;
    std::int64_t sync_mod_revision = 0;                          ///< also when its value cannot be read
    std::optional<std::map<std::string, std::string>> failsafe;  ///< api_url by name
    std::int64_t failsafe_mod_revision = 0;
    std::vector<HistoryEntry> history;
    bool has_history = false;
    std::int64_t history_mod_revision = 0;

    const Member* member(const std::string& name) const {
        for (const Member& m : members)
            if (m.name == name) return &m;
        return nullptr;
    }
    const Member* leader_member() const { return leader ? member(leader->name) : nullptr; }
    /// The timeline the cluster is on: last history entry + 1; 1 with an empty history; unknown without the key.
    Timeline timeline() const {
        if (!has_history) return {};
        return history.empty() ? Timeline{1} : Timeline{history.back().timeline.id + 1};
    }
};

const char* to_string(Role role);

}  // namespace pgkeel
