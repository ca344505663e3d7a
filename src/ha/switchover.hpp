#pragma once
#include "ha/decision.hpp"
#include "ha/snapshot.hpp"

#include <optional>

namespace pgkeel::ha {

/// Reads ISO 8601 with a zone: 2026-11-21T02:03:04.5+01:00, "2026-11-21 02:03:04Z". Nothing when it is not, or has no
/// zone.
std::optional<WallTime> parse_iso_time(std::string_view text);

/// What operators ask for; nothing when the key is absent or was cleared, which leaves a request for nothing behind.
const FailoverRequest* requested_failover(const ClusterView& view);

/// The leader's answer to the key `failover`; nothing when there is no request that is due.
std::optional<Decision> decide_requested_failover(const Snapshot& seen);

/// When a scheduled request becomes due, for the next wake-up.
Instant next_scheduled(const Snapshot& seen);

}  // namespace pgkeel::ha
