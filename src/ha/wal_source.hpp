#pragma once
#include "ha/snapshot.hpp"

#include <string>
#include <string_view>

// Where a standby gets its WAL, by name: a member, the other cluster that a standby cluster follows, or the archive
// alone. Snapshot::following and the actions hold these names.

namespace pgkeel::ha {

/// What a node tagged nostream follows.
inline constexpr std::string_view archive_source = "the archive";

/// "the remote primary db1:5432": another address or slot is another source, which is then followed anew.
std::string remote_source(const RemotePrimary& remote);
bool is_remote_source(std::string_view name);

/// Whom this node has to follow while somebody leads; empty when nobody does.
std::string wal_source(const Snapshot& seen);

}  // namespace pgkeel::ha
