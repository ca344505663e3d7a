#pragma once
#include "async/clock.hpp"
#include "async/event.hpp"
#include "base/result.hpp"
#include "cluster/keys.hpp"
#include "etcd/store.hpp"
#include "ha/lease.hpp"

#include <functional>
#include <optional>
#include <string>

namespace pgkeel::agent {

/// Takes, renews and gives up the leader lease, and owns this agent's etcd lease (which carries the member key too).
///
/// Only the success of a transaction moves the deadline, and it counts from before that transaction was sent
/// (docs/decisions/0002-lease.md). It decides nothing: it says what is so, and calls back when that changes.
class LeaseKeeper {
  public:
    struct Callbacks {
        std::function<StatusKey()> status;  ///< optime and slots to publish with a renewal
        std::function<void(const std::string&)>
            on_lost;                        ///< the key belongs to somebody else, or the deadline has passed
        std::function<void()> on_deadline;  ///< the deadline has come without a renewal: no write may follow
        std::function<void(const ha::HeldLease&)> on_renewed{};  ///< the lease was taken or renewed, by a write
        std::function<void()> on_release{};  ///< it is being released: this node's server takes no writes
    };
    LeaseKeeper(Clock& clock, etcd::Store& store, cluster::Keys keys, std::string name, Callbacks callbacks);

    /// Renews until `stop`. Run it as a task of its own.
    Task<> run();
    void stop();

    void use(const ClusterSettings& settings);
    const std::optional<ha::HeldLease>& held() const { return held_; }
    etcd::LeaseId lease() const { return lease_; }
    /// A release is under way, and whether the key is gone is not known yet.
    bool releasing() const { return releasing_; }

    /// Something else is sent to etcd just now: a renewal of the etcd lease that is due soon goes with it, and saves a
    /// wake-up.
    void come_along();
    /// There is news for the key `status`: the next renewal is not waited for.
    void renew_now();
    /// This agent's etcd lease, granted anew when etcd does not know it any more.
    Task<Result<etcd::LeaseId>> ensure_lease();
    /// To be called when etcd said `lease_gone` for it; another may have been granted meanwhile.
    void forget_lease(etcd::LeaseId gone) {
        if (lease_ == gone) lease_ = 0;
    }

    /// Races for the key as `seen` shows it, and writes the key `sync` with it. False: somebody else was faster, or
    /// something has changed since.
    Task<Result<bool>> take(ClusterView seen, std::optional<SyncKey> sync);
    /// A request for the key is under way: who holds it in a moment is not known.
    bool taking() const { return taking_; }
    /// The last request had no answer: the key may be ours.
    bool take_in_doubt() const { return take_in_doubt_; }
    void another_leads() { take_in_doubt_ = false; }
    /// Takes up the key that names this node already. False: it does not any more.
    Task<Result<bool>> adopt(ClusterView seen);
    /// Notes a lease that another transaction has put (bootstrap), sent at `sent`.
    void took(std::int64_t epoch, StatusKey status, Instant sent);
    /// Gives the key up, with the mark that this node's server takes no writes. The caller vouches for that.
    Task<Result<>> release(Lsn optime);
    /// Everybody who could take the lease has agreed, after `sent`, to wait for as long as a renewal makes them wait.
    void extend(std::int64_t epoch, Instant sent);
    /// Stops renewing and forgets the lease without telling etcd: its end is for others to see.
    void abandon();

  private:
    Task<> renew();
    void complain(const Error& error);
    Task<> resolve_conflict(etcd::TransactionResult result, std::uint64_t generation);
    Task<> keep_alive();
    Task<Result<>> give_key_up(std::int64_t epoch, StatusKey status, Instant end);
    void hold(std::int64_t epoch, const StatusKey& status, etcd::Revision written_at, Instant sent);
    void lose(const std::string& why);
    void arm();
    StatusKey next_status() const;
    Deadline try_until() const;

    Clock& clock_;
    etcd::Store& store_;
    cluster::Keys keys_;
    std::string name_;
    Callbacks callbacks_;
    ClusterSettings settings_;
    std::optional<ha::HeldLease> held_;
    std::uint64_t generation_ = 0;  ///< changes with every take, loss and release: answers to older requests are void
    std::uint64_t heartbeat_ = 0;
    etcd::Revision status_mod_revision_ = 0;  ///< of the status this node wrote last, as far as it knows
    bool releasing_ = false;
    bool taking_ = false;
    bool take_in_doubt_ = false;
    etcd::LeaseId lease_ = 0;
    std::chrono::seconds lease_ttl_{0};
    Instant next_renewal_{};
    bool renew_now_ = false;
    std::string complaint_;  ///< said last, and when it may be said again
    Instant next_complaint_{};
    Instant next_keep_alive_{};
    Clock::Alarm deadline_alarm_;
    Event wake_;
    Event grant_ended_;
    bool granting_ = false;
    bool stopped_ = false;
};

}  // namespace pgkeel::agent
