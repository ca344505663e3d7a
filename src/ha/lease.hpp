#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"

#include <optional>
#include <string>

// The leader lease and its two clocks (docs/decisions/0002-lease.md).
//
// The holder renews by a quorum write and counts its deadline from the moment before that write was sent. A candidate
// counts from the moment after it has seen the write's effect, and waits longer than the holder may live. So whatever
// etcd's own timers do, the old primary has stopped before a new one can begin.

namespace pgkeel::ha {

/// The durations that follow from the cluster's ttl.
struct LeaseTerms {
    Duration ttl{};
    Duration margin{};  ///< the holder's last backend is dead this long before ttl is over: fencing, drift, scheduling
    Duration stop_budget{};  ///< a stop begins this long before the deadline
    Duration renew_every{};

    static LeaseTerms of(const ClusterSettings& settings);
};

/// The holder's side. What it may still do is a question of `now` alone.
struct HeldLease {
    std::int64_t epoch = 0;  ///< create_revision of the leader key
    Instant renewed_at{};    ///< read before the last successful renewal was sent
    LeaseTerms terms;

    Instant deadline() const {
        return renewed_at + terms.ttl - terms.margin;
    }  ///< no write may be acknowledged after this
    Instant demote_at() const { return deadline() - terms.stop_budget; }  ///< stopping begins here
};

/// The candidate's side: when the holder's heartbeat was last seen to change.
class HeartbeatWatch {
  public:
    /// Feeds what was read or watched; `now` is taken after it was received. Any difference counts as a sign of life, a
    /// lower number too: an etcd that was restored begins anew. Repeated old news then costs time, never safety.
    void saw(const StatusKey& status, Instant now);
    /// Whether any pgkeel holder was seen by this process.
    bool ever() const { return heartbeat_ != 0; }
    Instant changed_at() const { return changed_at_; }

    /// This node has told a leader without etcd that it may go on (docs/decisions/0009-failsafe.md): it counts as a
    /// sign of life. \param ttl  what that leader promised to stop within
    void accepted_failsafe(Instant now, std::chrono::seconds ttl);
    /// Until when this node must not lead because of that.
    Instant bound_until(const StatusKey& status, const ClusterSettings& settings) const;
    std::optional<Instant> accepted_at() const { return accepted_at_; }

  private:
    std::uint64_t heartbeat_ = 0;
    std::int64_t mod_revision_ = 0;
    Instant changed_at_{};
    std::optional<Instant> accepted_at_;
    std::chrono::seconds accepted_ttl_{0};
};

/// Whether the lease may be taken now, by the rule of the two proofs. Who is the best candidate is another question.
struct Takeover {
    bool allowed = false;
    Instant allowed_at = Instant::max();  ///< when waiting alone will allow it; max: it will not
    /// The last holder acknowledges nothing any more from here on; zero: it is not known since when.
    Instant silent_since{};
    std::string why;
};
Takeover may_take_lease(const ClusterView& view, const HeartbeatWatch& heartbeat, const std::string& self,
                        const ClusterSettings& settings, Instant now);

/// How long a heartbeat must stay unchanged: the holder's own ttl counts, if it is longer than what is configured now.
Duration takeover_wait(const StatusKey& status, const ClusterSettings& settings);

}  // namespace pgkeel::ha
