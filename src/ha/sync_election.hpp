#pragma once
#include "ha/snapshot.hpp"

namespace pgkeel::ha {

// Who may be elected while replication is synchronous: the leader that the key `sync` names, and those who together
// must have every commit that it may have acknowledged (docs/decisions/0008-synchronous.md).

/// The key `sync`, while it binds elections; nothing: anybody may win.
const SyncKey* binding_sync(const Snapshot& seen);

/// Why `candidate`, at this position, may not be elected; empty: it may.
/// \param votes_since  answers to questions put before this do not count: the last leader may have acknowledged more
///                     since
std::string why_not_elected(const Snapshot& seen, const std::string& candidate, Timeline timeline, Lsn position,
                            Instant votes_since);

/// Whether this node has to give way to `name` when that one has more WAL. By priority only the key's own members race.
bool is_rival(const Snapshot& seen, const std::string& name);

/// A leader that is about to step down for `candidate`: why that one could not take over; empty: it can.
std::string why_not_successor(const Snapshot& seen, const std::string& candidate, const PeerStatus& peer);

}  // namespace pgkeel::ha
