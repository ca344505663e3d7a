#pragma once
#include "base/clock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pgkeel::pool {

/// A server of the cluster to which a pool may connect now.
struct Place {
    std::string name;  ///< of the member
    std::string host;  ///< a name, an address, or the directory of a unix socket
    std::uint16_t port = 5432;
    bool operator==(const Place&) const = default;
};

/// Where the servers of one route are, in order of preference; those with the fewest connections come first among
/// equals. `epoch`: of the leader, when the route leads to it: servers of an older one are closed.
struct Places {
    std::vector<Place> all;
    std::int64_t epoch = 0;
    bool operator==(const Places&) const = default;
};

}  // namespace pgkeel::pool
