#pragma once
#include "ha/snapshot.hpp"
#include "ha/sync_plan.hpp"

#include <map>

namespace pgkeel::ha {

/// What this leader remembers of the standbys that stream from it.
struct SyncMemory {
    std::map<std::string, Instant> streamed_at;  ///< when each was last seen streaming
    Instant leading_since{};                     ///< as a primary
};

/// Brings `memory` up to date with what is seen now.
void remember_standbys(const Snapshot& seen, SyncMemory& memory);

/// How long a standby may be away before somebody takes its place; a new leader waits as long for the first.
Duration sync_patience(const ClusterSettings& settings);

/// Whom commits should wait for and who may be elected, as the settings and the standbys that stream now want it.
/// \param state  where things stand: who is synchronous stays so, unless another is to be preferred
struct SyncWish {
    SyncTarget target;
    bool nobody_left = false;  ///< strict, and no standby streams: the last known ones stay
};
SyncWish sync_wish(const Snapshot& seen, const SyncState& state, const SyncMemory& memory);

}  // namespace pgkeel::ha
