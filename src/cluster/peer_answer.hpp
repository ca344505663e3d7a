#pragma once
#include "base/peer_status.hpp"

#include <string>
#include <string_view>

namespace pgkeel::cluster {

/// Reads the answer to GET /patroni, of pgkeel and of Patroni from 2.1 on. Pure.
///
/// Not reachable is a node that tells no position (its PostgreSQL does not run or does not answer), whose answer is no
/// JSON, or that calls itself by another name than `name`. `in_recovery` is false whenever the answer says so, even
/// then.
PeerStatus parse_peer_status(const std::string& name, std::string_view body);

}  // namespace pgkeel::cluster
