#pragma once
#include "ha/snapshot.hpp"
#include "ha/sync_plan.hpp"

#include <map>

namespace pgkeel::ha {

/// What this leader remembers of the standbys that stream from it.
struct SyncMemory {
    std::map<std::string, Instant> streamed_at;  ///< when each was last seen streaming, and not silent
    Instant leading_since{};                     ///< as a primary
    /// Since when a wal sender has heard nothing of its standby, and what it has to hear of.
    struct Expected {
        Lsn target;
        ReplicationClient last;
        Instant heard_at{};
    };
    std::map<std::string, Expected> expected = {};
};

/// Brings `memory` up to date with what is seen now.
void remember_standbys(const Snapshot& seen, SyncMemory& memory);

/// How long a standby may be away before somebody takes its place; a new leader waits as long for the first.
Duration sync_patience(const ClusterSettings& settings);
/// How long a standby may confirm nothing of what was sent to it: a network that swallows everything leaves its wal
/// sender "streaming" until wal_sender_timeout. With sync_patience it makes one ttl, in which no commit gets through.
Duration silence_max(const ClusterSettings& settings);

/// Whom commits should wait for and who may be elected, as the settings and the standbys that stream now want it.
/// \param state  where things stand: who is synchronous stays so, unless another is to be preferred
struct SyncWish {
    SyncTarget target;
    bool nobody_left = false;  ///< strict, and no standby streams: the last known ones stay
};
SyncWish sync_wish(const Snapshot& seen, const SyncState& state, const SyncMemory& memory);

}  // namespace pgkeel::ha
