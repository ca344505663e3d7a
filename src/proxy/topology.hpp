#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "config/pooler.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Where the servers of the cluster are and what they can be used for, as one moment of it. Plain data:
// cluster_watch.hpp makes a new one for every change, and every thread of the proxy reads the one it was given.

namespace pgkeel::proxy {

/// A server of the cluster.
struct Place {
    std::string name{};  ///< of the member
    std::string host{};
    std::string port{};
    /// Directory of its Unix socket: only when that is proven to be this server's (topology_socket.hpp). Else empty.
    std::string unix_socket{};
    bool leads = false;  ///< the leader key names it; whether it has been promoted yet, `role` says
    Role role = Role::uninitialized;
    std::string state{};              ///< "running", "starting", "creating replica", …
    std::string replication_state{};  ///< "streaming", "in archive recovery", or empty
    Timeline timeline{};
    Lsn position{};                            ///< a primary's flushed one; what a standby has replayed
    std::optional<std::uint64_t> lag_bytes{};  ///< behind the leader; nothing: not known. Up to a second old
    bool noloadbalance = false;
    std::optional<Instant> last_heard{};  ///< when its REST API answered last; nothing: never
    /// A standby that does not stream from a primary that is there, or on another timeline: since when. Without a
    /// primary nobody can stream, and nothing is counted.
    std::optional<Instant> out_of_step_since{};

    bool operator==(const Place&) const = default;
};

struct Topology {
    std::string cluster_id{};  ///< the system identifier in etcd; empty while there is none
    std::string leader{};      ///< who the leader key names; empty: nobody
    /// The leader key's create_revision, which grows with every change of leader (docs/decisions/0002-lease.md); 0:
    /// nobody leads. It falls only when an operator has replaced etcd.
    std::int64_t epoch = 0;
    std::vector<Place> places{};  ///< sorted by name
    bool stale = false;           ///< etcd does not answer: leader and members are the last known ones
    Instant built_at{};

    const Place* place(const std::string& name) const;
    const Place* leader_place() const { return leader.empty() ? nullptr : place(leader); }
};

/// When a standby is not good enough to read from.
struct RouteLimits {
    std::uint64_t lag_bytes_max = 16UL * 1024 * 1024;
    /// A member whose REST API has answered before and is silent for longer has gone, although its key in etcd lives on
    /// until its lease ends. One that never answered is judged by its key alone: the API may be closed to the proxy.
    Duration silent_max = std::chrono::seconds(3);
    /// After a failover a standby needs a moment to follow the new primary.
    Duration out_of_step_max = std::chrono::seconds(10);
};

/// Why clients who want a standby are not sent to `place`; nothing: they may be.
std::optional<std::string> unfit_for_reads(const Topology& topology, const Place& place, const RouteLimits& limits);

/// Where clients of `route` may be sent; the caller picks the one with the fewest connections. Points into `topology`.
///
/// primary, split: the server that the leader key names, nobody else, whatever a server says of itself. It may not have
/// been promoted yet: whoever opens a connection for writing asks it for pg_is_in_recovery() before the first use.
/// standby: the standbys that are fit. When none is, the primary: fewer servers are no reason to refuse reads, and it
/// has all that a standby could show (libpq calls it target_session_attrs=prefer-standby).
/// any: the leader and the standbys that are fit; when there are none, every server that runs: some answer is better
/// than none.
/// configured: nobody. The database's entry names its servers.
std::vector<const Place*> places_for(const Topology& topology, config::Route route, const RouteLimits& limits = {});

/// Both send every client to the same places: what is different are figures that move all the time.
bool same_routing(const Topology& one, const Topology& other, const RouteLimits& limits);

}  // namespace pgkeel::proxy
