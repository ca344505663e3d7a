#include "agent/lease_keeper.hpp"

#include "cluster/transactions.hpp"
#include "log/log.hpp"

#include <algorithm>
#include <memory>

namespace pgkeel::agent {

using namespace std::chrono_literals;

LeaseKeeper::LeaseKeeper(Clock& clock, etcd::Store& store, cluster::Keys keys, std::string name, Callbacks callbacks)
    : clock_(clock), store_(store), keys_(std::move(keys)), name_(std::move(name)), callbacks_(std::move(callbacks)) {}

void LeaseKeeper::use(const ClusterSettings& settings) {
    settings_ = settings;
    wake_.set();
}

void LeaseKeeper::stop() {
    stopped_ = true;
    deadline_alarm_.reset();
    wake_.set();
}

Deadline LeaseKeeper::try_until() const {
    // A hung etcd member may cost one try, not the lease.
    return clock_.now() + std::clamp<Duration>(settings_.ttl / 5, 600ms, settings_.retry_timeout);
}

Task<> LeaseKeeper::run() {
    while (!stopped_) {
        Instant next = lease_ != 0 ? next_keep_alive_ : Instant::max();
        if (held_) next = std::min(next, renew_now_ ? clock_.now() : next_renewal_);
        co_await wake_.wait(clock_, next);
        if (stopped_) break;
        if (held_ && (clock_.now() >= next_renewal_ || renew_now_)) co_await renew();
        if (lease_ != 0 && clock_.now() >= next_keep_alive_) co_await keep_alive();
    }
}

void LeaseKeeper::come_along() {
    if (lease_ == 0 || next_keep_alive_ - clock_.now() > Duration(settings_.ttl) / 6) return;
    next_keep_alive_ = clock_.now();
    wake_.set();
}

void LeaseKeeper::renew_now() {
    renew_now_ = true;
    wake_.set();
}

Task<Result<etcd::LeaseId>> LeaseKeeper::ensure_lease() {
    // One grant at a time: of two, the one that is not kept would end after its ttl, and the keys put under it with it.
    const Deadline patience = try_until();
    while (granting_ && clock_.now() < patience) co_await grant_ended_.wait(clock_, patience);
    if (granting_) co_return fail(Errc::timed_out, "another request for an etcd lease has had no answer yet");
    if (lease_ != 0 && lease_ttl_ == settings_.ttl) co_return lease_;
    const std::chrono::seconds ttl = settings_.ttl;
    granting_ = true;
    auto granted = co_await store_.grant(ttl, try_until());
    granting_ = false;
    grant_ended_.set();
    if (!granted) co_return std::unexpected(granted.error());
    lease_ = *granted;
    lease_ttl_ = ttl;
    next_keep_alive_ = clock_.now() + Duration(ttl) / 3;
    wake_.set();
    co_return lease_;
}

Task<> LeaseKeeper::keep_alive() {
    next_keep_alive_ = clock_.now() + Duration(settings_.ttl) / 3;
    if (lease_ttl_ == settings_.ttl) {
        const etcd::LeaseId kept = lease_;
        const auto alive = co_await store_.keep_alive(kept, try_until());
        if (!alive) next_keep_alive_ = std::min(next_keep_alive_, clock_.now() + Duration(settings_.ttl) / 10);
        if (alive || alive.error().code != Errc::lease_gone) co_return;
        log::warning("etcd has forgotten this agent's lease; taking a new one");
        forget_lease(kept);
    }
    const auto lease = co_await ensure_lease();
    if (!lease || !held_) co_return;
    // The leader key goes under the new lease: without this it would end with the old one.
    const std::uint64_t generation = generation_;
    const auto moved = co_await store_.commit(cluster::move_lease(keys_, name_, held_->epoch, *lease), try_until());
    if (generation != generation_) co_return;
    if (!moved) log::warning("could not put the leader key under the new lease: {}", moved.error().line());
    next_renewal_ = clock_.now();
}

StatusKey LeaseKeeper::next_status() const {
    StatusKey status = callbacks_.status();
    status.heartbeat = heartbeat_ + 1;
    status.holder = name_;
    status.ttl_seconds = settings_.ttl.count();
    status.released_epoch = 0;
    return status;
}

void LeaseKeeper::hold(std::int64_t epoch, const StatusKey& status, etcd::Revision written_at, Instant sent) {
    status_mod_revision_ = written_at;
    ClusterSettings promised = settings_;
    promised.ttl = std::chrono::seconds(status.ttl_seconds);
    heartbeat_ = std::max(heartbeat_, status.heartbeat);
    held_ = ha::HeldLease{epoch, sent, ha::LeaseTerms::of(promised)};
    next_renewal_ = sent + held_->terms.renew_every;
    if (callbacks_.on_renewed) callbacks_.on_renewed(*held_);
    arm();
    wake_.set();
}

void LeaseKeeper::arm() {
    deadline_alarm_ = clock_.call_at(held_->deadline(), [this] {
        if (!held_ || clock_.now() < held_->deadline()) return;
        callbacks_.on_deadline();
        if (!settings_.pause) lose("the lease could not be renewed");
    });
}

void LeaseKeeper::extend(std::int64_t epoch, Instant sent) {
    if (!held_ || held_->epoch != epoch || sent <= held_->renewed_at || clock_.now() >= held_->deadline()) return;
    held_->renewed_at = sent;
    if (callbacks_.on_renewed) callbacks_.on_renewed(*held_);
    arm();
}

void LeaseKeeper::lose(const std::string& why) {
    ++generation_;
    held_.reset();
    deadline_alarm_.reset();
    callbacks_.on_lost(why);
}

void LeaseKeeper::abandon() {
    ++generation_;
    held_.reset();
    deadline_alarm_.reset();
}

void LeaseKeeper::took(std::int64_t epoch, StatusKey status, Instant sent) {
    ++generation_;
    hold(epoch, status, epoch, sent);
}

Task<Result<bool>> LeaseKeeper::take(ClusterView seen, std::optional<SyncKey> sync) {
    taking_ = true;
    const auto ended = [](bool* taking) { *taking = false; };
    const std::unique_ptr<bool, decltype(ended)> end(&taking_, ended);
    const auto lease = co_await ensure_lease();
    if (!lease) co_return std::unexpected(lease.error());
    heartbeat_ = std::max(heartbeat_, seen.status.heartbeat);
    if (seen.leader) {
        // In two steps, because a put over the stale key would keep its create_revision: the epoch has to grow.
        const auto dropped = co_await store_.commit(cluster::drop_stale_lease(keys_, seen), try_until());
        if (!dropped) co_return std::unexpected(dropped.error());
        if (!dropped->succeeded) co_return false;
        seen.leader.reset();
    }
    StatusKey status = next_status();
    status.optime = std::max(status.optime, seen.status.optime);
    const Instant sent = clock_.now();
    take_in_doubt_ = true;
    const auto result =
        co_await store_.commit(cluster::take_lease(keys_, seen, name_, *lease, status, sync), try_until());
    if (result) {
        take_in_doubt_ = false;
        if (!result->succeeded) co_return false;
        ++generation_;
        hold(result->revision, status, result->revision, sent);
        co_return true;
    }
    if (result.error().code == Errc::lease_gone) forget_lease(*lease);
    // "Maybe done": the next look at the cluster shows whether the key names this node, and it is adopted then.
    co_return std::unexpected(result.error());
}

Task<Result<bool>> LeaseKeeper::adopt(ClusterView seen) {
    if (releasing_ || !seen.leader || seen.leader->name != name_) co_return false;
    const auto lease = co_await ensure_lease();
    if (!lease) co_return std::unexpected(lease.error());
    heartbeat_ = std::max(heartbeat_, seen.status.heartbeat);
    const StatusKey status = next_status();
    etcd::Transaction transaction = cluster::move_lease(keys_, name_, seen.leader->create_revision, *lease);
    transaction.success.push_back(etcd::Operation::put(keys_.status(), cluster::write_status(status)));
    const Instant sent = clock_.now();
    const auto result = co_await store_.commit(std::move(transaction), try_until());
    if (!result) {
        if (result.error().code == Errc::lease_gone) forget_lease(*lease);
        co_return std::unexpected(result.error());
    }
    if (!result->succeeded) co_return false;
    ++generation_;
    hold(seen.leader->create_revision, status, result->revision, sent);
    co_return true;
}

Task<Result<>> LeaseKeeper::release(Lsn optime) {
    if (callbacks_.on_release) callbacks_.on_release();
    if (!held_) co_return Result<>{};
    StatusKey status = next_status();
    status.optime = std::max(optime, status.optime);
    status.released_epoch = held_->epoch;
    const std::int64_t epoch = held_->epoch;
    const Instant end = held_->renewed_at + settings_.ttl;
    abandon();
    releasing_ = true;  // until it is known whether the key is gone, it is not taken up again
    const auto released = co_await give_key_up(epoch, status, end);
    releasing_ = false;
    co_return released;
}

/// Without the release the others wait for the whole lease, so it is worth more than one try.
///
/// Each try names the status it was made under: a request that was held up somewhere and arrives when this node leads
/// again finds another one, and does nothing. It would tell everybody that this node's server has stopped.
Task<Result<>> LeaseKeeper::give_key_up(std::int64_t epoch, StatusKey status, Instant end) {
    while (true) {
        etcd::Transaction transaction = cluster::release_lease(keys_, name_, epoch, status);
        transaction.compare.push_back(etcd::Compare::unchanged(keys_.status(), status_mod_revision_));
        const auto result = co_await store_.commit(std::move(transaction), try_until());
        if (result && result->succeeded) co_return Result<>{};
        if (result) {
            const ClusterView now = cluster::parse_view(keys_, result->read, result->revision);
            const bool still_ours = now.leader && now.leader->name == name_ && now.leader->create_revision == epoch;
            if (!still_ours) co_return Result<>{};
            status_mod_revision_ = now.status.mod_revision;  // a renewal whose answer was lost
        }
        if (clock_.now() >= end)
            co_return result ? Result<>(fail(Errc::conflict, "the status key changes all the time"))
                             : std::unexpected(result.error());
        if (!result) co_await clock_.sleep_for(100ms);
    }
}

/// An outage of etcd can last hours in failsafe mode, with ten tries a second.
void LeaseKeeper::complain(const Error& error) {
    const Instant now = clock_.now();
    if (error.text == complaint_ && now < next_complaint_) return;
    complaint_ = error.text;
    next_complaint_ = now + std::max<Duration>(held_->terms.ttl / 5, 1s);
    log::warning("could not renew the leader lease, {:.1f} s are left: {}", seconds(held_->deadline() - now),
                 error.line());
}

Task<> LeaseKeeper::renew() {
    renew_now_ = false;  // what is told from here on is in a renewal after this one
    const std::uint64_t generation = generation_;
    const StatusKey status = next_status();
    const Instant sent = clock_.now();
    auto result = co_await store_.commit(cluster::renew_lease(keys_, name_, lease_, held_->epoch, status), try_until());
    if (generation != generation_ || !held_) co_return;
    if (!result) {
        complain(result.error());
        next_renewal_ = clock_.now() + 100ms;
        heartbeat_ = status.heartbeat;  // it may have been written
    } else if (result->succeeded) {
        heartbeat_ = status.heartbeat;
        hold(held_->epoch, status, result->revision, sent);
    } else {
        next_renewal_ = clock_.now() + 100ms;
        co_await resolve_conflict(std::move(*result), generation);
    }
}

/// The key is not as it was left. While the deadline has not passed nobody else may have taken it (every candidate
/// waits longer), so a key that has vanished, or stands under another lease, is put back; a key that names another is
/// lost.
Task<> LeaseKeeper::resolve_conflict(etcd::TransactionResult found, std::uint64_t generation) {
    const ClusterView now = cluster::parse_view(keys_, found.read, found.revision);
    if (now.leader && now.leader->name != name_) {
        lose("the leader key was taken by " + now.leader->name);
        co_return;
    }
    if (now.status.mod_revision != 0 && now.status.holder != name_) {
        lose("another leader has been in between: " + now.status.holder);
        co_return;
    }
    if (now.leader && now.leader->create_revision != held_->epoch && now.leader->lease == lease_) {
        held_->epoch = now.leader->create_revision;  // put back before, by a write whose answer was lost
        co_return;
    }
    if (now.leader && now.leader->create_revision != held_->epoch) {
        lose("the leader key was written anew by another agent with this name");
        co_return;
    }
    log::warning("the leader key {}; putting it back", now.leader ? "stands under another lease" : "has vanished");
    const auto lease = co_await ensure_lease();
    if (!lease || generation != generation_) co_return;
    const StatusKey status = next_status();
    etcd::Transaction transaction = now.leader ? cluster::move_lease(keys_, name_, held_->epoch, *lease)
                                               : cluster::restore_lease(keys_, name_, *lease, now.status.mod_revision);
    transaction.success.push_back(etcd::Operation::put(keys_.status(), cluster::write_status(status)));
    const Instant sent = clock_.now();
    const auto result = co_await store_.commit(std::move(transaction), try_until());
    if (generation != generation_ || !held_) co_return;
    if (result && result->succeeded) {
        hold(now.leader ? held_->epoch : result->revision, status, result->revision, sent);
    } else if (!result && result.error().code == Errc::lease_gone) {
        forget_lease(*lease);
    }
}

}  // namespace pgkeel::agent
