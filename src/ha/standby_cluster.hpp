#pragma once
#include "ha/decision.hpp"
#include "ha/snapshot.hpp"

namespace pgkeel::ha {

// A standby cluster follows the primary of another cluster: its leader streams from there, everybody else from the
// leader. The lease says who leads, as in any cluster; nobody in it may take writes.

/// This node holds the lease, and its server answers.
Decision lead_standby_cluster(const Snapshot& seen);

/// This node holds the lease, and its server is down. `was_primary`: it last ran as a primary, so that its history has
/// to be compared before it follows anybody.
Decision start_standby_leader(const Snapshot& seen, bool was_primary);

/// Another leads, and this node last ran as a primary.
Decision rejoin_standby_cluster(const Snapshot& seen);

/// The remote primary's history is the measure in a standby cluster, for its leader and everybody else: whether it is
/// time to compare with it. While WAL arrives there is no doubt.
bool remote_comparison_due(const Snapshot& seen);
/// When to ask again.
Instant next_remote_comparison(const Snapshot& seen);

}  // namespace pgkeel::ha
