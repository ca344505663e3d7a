#include "simulation/sim_etcd.hpp"

#include <algorithm>

namespace pgkeel::simulation {

using namespace std::chrono_literals;
using etcd::Compare;
using etcd::KeyValue;
using etcd::Operation;

const KeyValue* SimEtcd::find(const std::string& key) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : &found->second;
}

void SimEtcd::put(const std::string& key, const std::string& value, etcd::LeaseId lease,
                  std::vector<etcd::WatchEvent>& events) {
    KeyValue& kv = keys_[key];
    if (kv.create_revision == 0) kv = {key, {}, revision_, 0, 0};
    kv.value = value;
    kv.mod_revision = revision_;
    kv.lease = lease;
    events.push_back({false, kv});
}

void SimEtcd::erase(const std::string& key, std::vector<etcd::WatchEvent>& events) {
    if (keys_.erase(key) != 0) events.push_back({true, {key, {}, 0, revision_, 0}});
}

void SimEtcd::publish(const std::vector<etcd::WatchEvent>& events) {
    if (events.empty()) return;
    for (Watcher& watcher : watchers) {
        std::vector<etcd::WatchEvent> some;
        for (const etcd::WatchEvent& event : events)
            if (event.value.key.starts_with(watcher.prefix)) some.push_back(event);
        if (!some.empty()) watcher.tell(revision_, some);
    }
}

etcd::TransactionResult SimEtcd::commit(const etcd::Transaction& transaction, bool* lease_gone) {
    const bool holds = std::all_of(transaction.compare.begin(), transaction.compare.end(), [&](const Compare& compare) {
        const KeyValue* kv = find(compare.key);
        switch (compare.target) {
            case Compare::Target::create_revision:
                return (kv ? kv->create_revision : 0) == compare.number;
            case Compare::Target::mod_revision:
                return (kv ? kv->mod_revision : 0) == compare.number;
            case Compare::Target::lease:
                return kv && kv->lease == compare.number;
            case Compare::Target::value:
                return kv && kv->value == compare.text;
        }
        return false;
    });
    const auto& branch = holds ? transaction.success : transaction.failure;
    for (const Operation& operation : branch)
        if (operation.kind == Operation::Kind::put && operation.lease != 0 && !leases_.contains(operation.lease)) {
            *lease_gone = true;
            return {};
        }
    etcd::TransactionResult result{holds, revision_, {}};
    std::vector<etcd::WatchEvent> events;
    const bool writes =
        std::any_of(branch.begin(), branch.end(), [](const Operation& o) { return o.kind != Operation::Kind::read; });
    if (writes) result.revision = ++revision_;
    for (const Operation& operation : branch) {
        if (operation.kind == Operation::Kind::put) put(operation.key, operation.value, operation.lease, events);
        if (operation.kind == Operation::Kind::remove) erase(operation.key, events);
        if (operation.kind == Operation::Kind::read)
            if (const KeyValue* kv = find(operation.key)) result.read.push_back(*kv);
    }
    publish(events);
    return result;
}

etcd::RangeResult SimEtcd::range(const std::string& prefix) const {
    etcd::RangeResult result{revision_, {}};
    for (auto it = keys_.lower_bound(prefix); it != keys_.end() && it->first.starts_with(prefix); ++it)
        result.values.push_back(it->second);
    return result;
}

etcd::LeaseId SimEtcd::grant(std::chrono::seconds ttl) {
    const etcd::LeaseId id = ++last_lease_;
    leases_[id] = {std::max<std::chrono::seconds>(ttl, 2s), {}};
    arm(id);
    return id;
}

void SimEtcd::arm(etcd::LeaseId lease) {
    Lease& entry = leases_.at(lease);
    entry.alarm =
        world_.at(world_.now() + entry.ttl + world_.random.between(0ms, 500ms), [this, lease] { expire(lease); });
}

void SimEtcd::expire(etcd::LeaseId lease) {
    leases_.erase(lease);
    std::vector<std::string> gone;
    for (const auto& [key, kv] : keys_)
        if (kv.lease == lease) gone.push_back(key);
    if (gone.empty()) return;
    ++revision_;
    std::vector<etcd::WatchEvent> events;
    for (const std::string& key : gone) erase(key, events);
    publish(events);
}

bool SimEtcd::keep_alive(etcd::LeaseId lease) {
    if (!leases_.contains(lease)) return false;
    arm(lease);
    return true;
}

void SimEtcd::revoke(etcd::LeaseId lease) {
    if (leases_.contains(lease)) expire(lease);
}

void SimEtcd::revoke_some_lease() {
    if (leases_.empty()) return;
    auto it = leases_.begin();
    std::advance(it, static_cast<long>(world_.random.below(leases_.size())));
    expire(it->first);
}

void SimEtcd::extend_leases() {
    for (auto& [id, lease] : leases_) arm(id);
}

void SimEtcd::remove(const std::string& key) {
    if (!find(key)) return;
    ++revision_;
    std::vector<etcd::WatchEvent> events;
    erase(key, events);
    publish(events);
}

Task<bool> SimStore::arrive(Deadline deadline) {
    co_await clock_.sleep_for(world_.random.between(300us, 3ms) + etcd_.slow);
    if (clock_.now() < deadline && connected_() && etcd_.answers && !world_.random.chance(etcd_.lost_before))
        co_return true;
    co_await clock_.sleep_until(deadline);
    co_return false;
}

Task<bool> SimStore::come_back(Deadline deadline) {
    co_await clock_.sleep_for(world_.random.between(300us, 3ms) + answers_late);
    if (clock_.now() < deadline && connected_() && !world_.random.chance(etcd_.lost_after)) co_return true;
    co_await clock_.sleep_until(deadline);
    co_return false;
}

Task<Result<etcd::RangeResult>> SimStore::range(std::string prefix, Deadline deadline) {
    if (!co_await arrive(deadline)) co_return fail(Errc::timed_out, "no answer");
    auto result = etcd_.range(prefix);
    if (!co_await come_back(deadline)) co_return fail(Errc::timed_out, "no answer");
    co_return result;
}

Task<Result<etcd::TransactionResult>> SimStore::commit(etcd::Transaction transaction, Deadline deadline) {
    if (!co_await arrive(deadline)) {
        // A message that was given up may still be on its way, and be carried out when nobody expects it any more.
        if (etcd_.lost_before > 0 && world_.random.chance(0.5))
            world_.surely_at(world_.now() + world_.random.between(0ms, 8s),
                             [&etcd = etcd_, late = std::move(transaction)] {
                                 bool nobody_asks = false;
                                 if (etcd.answers) etcd.commit(late, &nobody_asks);
                             });
        // The client cannot tell which of the two it was.
        co_return fail(world_.random.chance(0.5) ? Errc::maybe_done : Errc::unavailable, "no answer");
    }
    bool lease_gone = false;
    auto result = etcd_.commit(transaction, &lease_gone);
    if (!co_await come_back(deadline)) co_return fail(Errc::maybe_done, "no answer");
    if (lease_gone) co_return fail(Errc::lease_gone, "requested lease not found");
    co_return result;
}

Task<Result<etcd::LeaseId>> SimStore::grant(std::chrono::seconds ttl, Deadline deadline) {
    if (!co_await arrive(deadline)) co_return fail(Errc::unavailable, "no answer");
    const etcd::LeaseId lease = etcd_.grant(ttl);
    if (!co_await come_back(deadline)) co_return fail(Errc::maybe_done, "no answer");
    co_return lease;
}

Task<Result<>> SimStore::keep_alive(etcd::LeaseId lease, Deadline deadline) {
    if (etcd_.keep_alive_lies && connected_()) {
        co_await clock_.sleep_for(1ms);
        co_return Result<>{};
    }
    if (!co_await arrive(deadline)) co_return fail(Errc::unavailable, "no answer");
    const bool known = etcd_.keep_alive(lease);
    if (!co_await come_back(deadline)) co_return fail(Errc::maybe_done, "no answer");
    if (!known) co_return fail(Errc::lease_gone, "requested lease not found");
    co_return Result<>{};
}

Task<Result<>> SimStore::revoke(etcd::LeaseId lease, Deadline deadline) {
    if (!co_await arrive(deadline)) co_return fail(Errc::unavailable, "no answer");
    etcd_.revoke(lease);
    co_return Result<>{};
}

Task<Error> SimStore::watch(std::string prefix, etcd::Revision, OnEvents on_events) {
    // Events come late, and now and then not at all; after a while the stream breaks.
    struct Stream {
        std::vector<std::pair<etcd::Revision, std::vector<etcd::WatchEvent>>> pending;
        Event arrived;
    };
    auto stream = std::make_shared<Stream>();
    const auto me = etcd_.watchers.insert(
        etcd_.watchers.end(), {prefix, [this, weak = std::weak_ptr(stream)](auto revision, const auto& events) {
                                   const auto alive = weak.lock();
                                   if (!alive || !connected_() || world_.random.chance(0.02)) return;
                                   alive->pending.emplace_back(revision, events);
                                   alive->arrived.set();
                               }});
    struct Leave {
        SimEtcd& etcd;
        std::list<SimEtcd::Watcher>::iterator me;
        ~Leave() { etcd.watchers.erase(me); }
    } leave{etcd_, me};
    const Instant end = clock_.now() + world_.random.between(5s, 60s);
    while (clock_.now() < end && connected_()) {
        co_await stream->arrived.wait(clock_, end);
        co_await clock_.sleep_for(world_.random.between(500us, 5ms));
        for (auto& [revision, events] : std::exchange(stream->pending, {})) on_events(revision, events);
    }
    co_return Error{Errc::unavailable, "the stream broke", {}};
}

}  // namespace pgkeel::simulation
