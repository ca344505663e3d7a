#include "support/memory_store.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::test {

using namespace std::chrono_literals;
using etcd::Compare;
using etcd::KeyValue;
using etcd::Operation;

etcd::RangeResult MemoryEtcd::range(const std::string& prefix) {
    end_due_leases();
    ++reads_;
    etcd::RangeResult result;
    result.revision = revision_;
    for (auto it = values_.lower_bound(prefix); it != values_.end() && it->first.starts_with(prefix); ++it)
        result.values.push_back(it->second);
    return result;
}

bool MemoryEtcd::holds(const Compare& compare) const {
    const auto found = values_.find(compare.key);
    const bool there = found != values_.end();
    switch (compare.target) {
        case Compare::Target::create_revision:
            return (there ? found->second.create_revision : 0) == compare.number;
        case Compare::Target::mod_revision:
            return (there ? found->second.mod_revision : 0) == compare.number;
        case Compare::Target::lease:
            return (there ? found->second.lease : 0) == compare.number;
        case Compare::Target::value:
            return there && found->second.value == compare.text;  // a key that is not there has no value, not even ""
    }
    return false;
}

namespace {
/// A key that is put twice, or put and removed; etcd refuses both, in whatever order they are.
std::string changed_twice(const std::vector<Operation>& branch) {
    for (const Operation& put : branch) {
        if (put.kind != Operation::Kind::put) continue;
        for (const Operation& other : branch) {
            if (&other == &put || other.kind == Operation::Kind::read) continue;
            if (other.key == put.key || (other.prefix && put.key.starts_with(other.key))) return put.key;
        }
    }
    return {};
}
}  // namespace

Result<etcd::TransactionResult> MemoryEtcd::commit(const etcd::Transaction& transaction) {
    end_due_leases();
    for (const auto* branch : {&transaction.success, &transaction.failure})
        if (const std::string key = changed_twice(*branch); !key.empty())
            return fail(Errc::unavailable, "etcdserver: duplicate key given in txn request: " + key);
    etcd::TransactionResult result;
    result.succeeded =
        std::ranges::all_of(transaction.compare, [this](const Compare& compare) { return holds(compare); });
    const auto& branch = result.succeeded ? transaction.success : transaction.failure;
    for (const Operation& operation : branch)
        if (operation.kind == Operation::Kind::put && operation.lease != 0 && !leases_.contains(operation.lease))
            return fail(Errc::lease_gone, fmt::format("etcdserver: requested lease not found: {}", operation.lease));
    Change change;
    change.revision = revision_ + 1;
    for (const Operation& operation : branch) {
        if (operation.kind == Operation::Kind::put) {
            put(operation, change);
            continue;
        }
        std::vector<std::string> keys;
        if (!operation.prefix && values_.contains(operation.key)) keys.push_back(operation.key);
        if (operation.prefix)
            for (auto it = values_.lower_bound(operation.key);
                 it != values_.end() && it->first.starts_with(operation.key); ++it)
                keys.push_back(it->first);
        for (const std::string& key : keys) {
            if (operation.kind == Operation::Kind::read)
                result.read.push_back(values_.at(key));
            else
                remove(key, change);
        }
    }
    publish(std::move(change));
    result.revision = revision_;
    return result;
}

void MemoryEtcd::put(const Operation& operation, Change& change) {
    KeyValue& value = values_[operation.key];
    if (value.lease != 0 && value.lease != operation.lease) leases_.at(value.lease).keys.erase(operation.key);
    if (value.create_revision == 0) value.create_revision = change.revision;
    value.key = operation.key;
    value.value = operation.value;
    value.mod_revision = change.revision;
    value.lease = operation.lease;
    if (operation.lease != 0) leases_.at(operation.lease).keys.insert(operation.key);
    change.events.push_back({false, value});
}

void MemoryEtcd::remove(const std::string& key, Change& change) {
    const auto found = values_.find(key);
    if (const auto lease = leases_.find(found->second.lease); lease != leases_.end()) lease->second.keys.erase(key);
    values_.erase(found);
    etcd::WatchEvent event;
    event.removed = true;
    event.value.key = key;
    event.value.mod_revision = change.revision;
    change.events.push_back(std::move(event));
}

void MemoryEtcd::publish(Change change) {
    if (change.events.empty()) return;
    revision_ = change.revision;
    log_.push_back(std::move(change));
    for (Watcher* watcher : watchers_) watcher->news.set();
}

etcd::LeaseId MemoryEtcd::grant(std::chrono::seconds ttl) {
    const etcd::LeaseId id = ++next_lease_;
    leases_[id].ttl = std::max(ttl, 2s);
    arm(id);
    return id;
}

void MemoryEtcd::arm(etcd::LeaseId id) {
    Lease& lease = leases_.at(id);
    lease.ends = clock_.now() + lease.ttl;
    lease.alarm = clock_.call_at(lease.ends, [this] { end_due_leases(); });
}

Result<> MemoryEtcd::keep_alive(etcd::LeaseId lease) {
    end_due_leases();
    if (!leases_.contains(lease)) return fail(Errc::lease_gone, fmt::format("lease {} does not exist", lease));
    arm(lease);
    return {};
}

Result<> MemoryEtcd::revoke(etcd::LeaseId lease) {
    end_due_leases();
    if (!leases_.contains(lease)) return fail(Errc::lease_gone, fmt::format("lease {} does not exist", lease));
    end_lease(lease);
    return {};
}

bool MemoryEtcd::has_lease(etcd::LeaseId lease) {
    end_due_leases();
    return leases_.contains(lease);
}

void MemoryEtcd::end_due_leases() {
    const Instant now = clock_.now();
    std::vector<etcd::LeaseId> due;
    for (const auto& [id, lease] : leases_)
        if (lease.ends <= now) due.push_back(id);
    for (const etcd::LeaseId id : due) end_lease(id);
}

void MemoryEtcd::end_lease(etcd::LeaseId id) {
    const std::set<std::string> keys = leases_.at(id).keys;
    Change change;
    change.revision = revision_ + 1;
    for (const std::string& key : keys) remove(key, change);
    leases_.erase(id);
    publish(std::move(change));
}

void MemoryEtcd::compact(etcd::Revision revision) {
    compacted_ = std::max(compacted_, revision);
    std::erase_if(log_, [&](const Change& change) { return change.revision < compacted_; });
    for (Watcher* watcher : watchers_) watcher->news.set();
}

void MemoryEtcd::break_watches() {
    for (Watcher* watcher : watchers_) {
        watcher->broken = true;
        watcher->news.set();
    }
}

void MemoryStore::connect(bool connected) {
    connected_ = connected;
    if (connected) return;
    for (MemoryEtcd::Watcher* watcher : watchers_) {
        watcher->broken = true;
        watcher->news.set();
    }
}

Task<bool> MemoryStore::travel() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    co_return connected_;
}

namespace {
std::unexpected<Error> no_network() {
    return fail(Errc::unavailable, "there is no network to etcd");
}
}  // namespace

Task<Result<etcd::RangeResult>> MemoryStore::range(std::string prefix, Deadline) {
    if (!co_await travel()) co_return no_network();
    co_return etcd_.range(prefix);
}

Task<Result<etcd::TransactionResult>> MemoryStore::commit(etcd::Transaction transaction, Deadline) {
    if (!co_await travel()) co_return no_network();
    co_return etcd_.commit(transaction);
}

Task<Result<etcd::LeaseId>> MemoryStore::grant(std::chrono::seconds ttl, Deadline) {
    if (!co_await travel()) co_return no_network();
    co_return etcd_.grant(ttl);
}

Task<Result<>> MemoryStore::keep_alive(etcd::LeaseId lease, Deadline) {
    if (!co_await travel()) co_return no_network();
    co_return etcd_.keep_alive(lease);
}

Task<Result<>> MemoryStore::revoke(etcd::LeaseId lease, Deadline) {
    if (!co_await travel()) co_return no_network();
    co_return etcd_.revoke(lease);
}

Task<Error> MemoryStore::watch(std::string prefix, etcd::Revision from, OnEvents on_events) {
    if (!co_await travel()) co_return no_network().error();
    MemoryEtcd::Watcher watcher{std::move(prefix), from == 0 ? etcd_.revision() + 1 : from, false, {}};
    // Leaves both lists however this coroutine ends.
    struct Places {
        std::list<MemoryEtcd::Watcher*>& all;
        std::list<MemoryEtcd::Watcher*>& own;
        MemoryEtcd::Watcher* watcher;
        ~Places() {
            all.remove(watcher);
            own.remove(watcher);
        }
    } places{etcd_.watchers_, watchers_, &watcher};
    etcd_.watchers_.push_back(&watcher);
    watchers_.push_back(&watcher);
    while (!watcher.broken) {
        if (watcher.next < etcd_.compacted_)
            co_return Error{Errc::invalid_input, fmt::format("revision {} has been compacted", watcher.next),
                            "read again"};
        const auto change =
            std::ranges::find_if(etcd_.log_, [&](const auto& one) { return one.revision >= watcher.next; });
        if (change == etcd_.log_.end()) {
            co_await watcher.news.wait();
            continue;
        }
        watcher.next = change->revision + 1;
        const etcd::Revision revision = change->revision;
        std::vector<etcd::WatchEvent> events;
        for (const etcd::WatchEvent& event : change->events)
            if (event.value.key.starts_with(watcher.prefix)) events.push_back(event);
        if (!events.empty()) on_events(revision, events);
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    co_return Error{Errc::unavailable, "the watch has ended: the member that served it is gone", {}};
}

}  // namespace pgkeel::test
