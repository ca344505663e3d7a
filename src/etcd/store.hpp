#pragma once
#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "etcd/types.hpp"

#include <functional>

namespace pgkeel::etcd {

/// etcd as the agent uses it. The real one is GatewayStore; the simulation has another.
///
/// Errors of every call: `unavailable` — nothing was changed; `denied` — credentials; for writes `maybe_done` — sent,
/// and no answer before the deadline or the connection broke: read back. An error that is not understood is
/// `unavailable`, never "lock lost".
class Store {
  public:
    virtual ~Store() = default;

    /// Every key below `prefix`, linearizable. Errors also: timed_out.
    virtual Task<Result<RangeResult>> range(std::string prefix, Deadline deadline) = 0;
    /// Errors also: lease_gone, when a put named a lease that etcd does not know.
    virtual Task<Result<TransactionResult>> commit(Transaction transaction, Deadline deadline) = 0;
    virtual Task<Result<LeaseId>> grant(std::chrono::seconds ttl, Deadline deadline) = 0;
    /// Keeps etcd's own timer of the lease running. Proves nothing (reliability: an etcd leader whose disk hangs says
    /// yes for ever). Errors also: lease_gone.
    virtual Task<Result<>> keep_alive(LeaseId lease, Deadline deadline) = 0;
    virtual Task<Result<>> revoke(LeaseId lease, Deadline deadline) = 0;

    /// Follows every change below `prefix` from `from` on; `on_events` is called on the event loop with the revision of
    /// the batch. Comes back only when the stream has ended, with the reason; `invalid_input`: `from` has been
    /// compacted, read again. Watches are hints: etcd 3.4 loses and repeats them.
    using OnEvents = std::function<void(Revision, const std::vector<WatchEvent>&)>;
    virtual Task<Error> watch(std::string prefix, Revision from, OnEvents on_events) = 0;
};

}  // namespace pgkeel::etcd
