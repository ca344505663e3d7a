#pragma once
#include "base/cluster_view.hpp"
#include "base/settings.hpp"

#include <boost/json/object.hpp>

namespace pgkeel::cluster {

/// What a member is to the cluster, as lists name it.
enum class Standing { leader, standby_leader, sync_standby, quorum_standby, replica };

/// A place in the WAL and how far it is behind the leader's. Without an LSN nothing is known.
struct Position {
    Lsn lsn;
    std::uint64_t lag_bytes = 0;
};

struct MemberSummary {
    std::string name, host, port;
    Standing standing = Standing::replica;
    std::string state;  ///< of replication where a standby tells it, else of the server
    Timeline timeline;
    Position received, replayed;  ///< standbys only
    Position any;                 ///< the further one of the two
    bool pending_restart = false;
    boost::json::object pending_restart_reason;  ///< parameter → {old_value, new_value}
    std::string scheduled_restart;               ///< "2026-11-21T10:00:00+00:00 if version < 15.20"; empty: none
    boost::json::object tags;

    bool leads() const { return standing == Standing::leader || standing == Standing::standby_leader; }
};

/// The cluster as lists show it. The facts and their rules are those of Patroni's GET /cluster and `patronictl list`.
struct ClusterSummary {
    std::string system_identifier;  ///< or "uninitialized", "initializing"
    ClusterSettings settings;
    std::vector<MemberSummary> members;  ///< sorted by name
    std::optional<FailoverRequest> scheduled;

    const MemberSummary* leader() const;
};

ClusterSummary summarize(const ClusterView& view);

/// The members as a tree (leader, its standbys, theirs: tag replicatefrom), parents before children.
struct TreeEntry {
    const MemberSummary* member = nullptr;
    int depth = 0;
};
std::vector<TreeEntry> replication_tree(const ClusterSummary& summary);

}  // namespace pgkeel::cluster
