#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "base/peer_status.hpp"
#include "base/server_state.hpp"
#include "ha/lease.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace pgkeel::ha {

/// Work that takes longer than a tick. One at a time; while it runs, the loop goes on and renews the lease.
enum class Operation {
    bootstrap,
    clone,
    start,
    restart,
    stop,  ///< a demotion of any kind
    promote,
    rejoin,  ///< rewind if needed, then start as a standby
    reinit,
    follow,
    copy_slots,  ///< a standby gets its copies of logical slots
};
const char* to_string(Operation operation);

struct RunningOperation {
    Operation kind = Operation::start;
    Instant started{};
    bool committed = false;  ///< past the point of no return: promote was asked for
};

/// Everything a decision may depend on. Whoever fills it does the looking; whoever decides does not look.
struct Snapshot {
    Instant now{};
    Instant looked_at{};  ///< nothing of what was seen is older
    WallTime wall_now{};  ///< for schedules only
    std::string name;     ///< this node
    Tags tags;
    ServerAbilities abilities;
    ClusterSettings settings;
    std::string unfit_to_lead;  ///< nothing would end this node's writes if the agent cannot: why; empty: it is fit

    std::string cannot_write;  ///< why this node's volumes take nothing; empty: they do
    bool writes_hang = false;  ///< … because a write does not come back

    std::optional<ClusterView> view;  ///< nothing: etcd did not answer
    ServerState server;
    std::optional<HeldLease> lease;  ///< the leader lease, while this node holds it
    HeartbeatWatch heartbeat;
    std::optional<RunningOperation> operation;
    std::map<std::string, PeerStatus> peers;  ///< the newest answer of each node asked
    std::set<std::string> race_members;       ///< members of the last view that had a leader

    /// What this process remembers of its own past:
    bool failsafe_active = false;   ///< the lease was last extended by the members, not by etcd
    bool key_is_old = false;        ///< it names this node, which did not ask for it, after another: etcd was restored
    bool releasing = false;         ///< the release of the lease is under way: it is not taken up again
    Instant yield_until{};          ///< after a release: others go first
    Instant leaderless_since{};     ///< when a look first found no leader, or a dead one
    Instant pre_promote_backoff{};  ///< after a failed pre_promote
    Instant retry_start_at{};       ///< after a failed start
    bool stopped_to_demote =
        false;  ///< this process stopped the server so that another may lead: it comes back as a standby
    bool start_failed = false;               ///< the last start under the lease that is held failed
    Instant server_starting_since{};         ///< when the running server was first seen not to accept connections
    Instant position_moved_at{};             ///< when a look last found more WAL on this standby than the one before
    Instant server_halted_since{};           ///< when its postmaster was first seen halted; reset when it goes on
    Timeline history_told;                   ///< whose history this process has written last, or could not read
    std::int64_t history_checked_epoch = 0;  ///< the leader's history was compared with ours under this epoch
    bool history_diverged = false;           ///< … and it showed that ours has to be rewound
    Instant history_tried_at{};              ///< when that was tried last, also in vain
    std::string following;                   ///< where this standby gets its WAL (wal_source.hpp); empty: none set yet
    bool reinit_requested = false;
    bool bootstrap_pending = false;  ///< this node owns `initialize` and has not finished
};

}  // namespace pgkeel::ha
