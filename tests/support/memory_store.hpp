#pragma once
#include "async/clock.hpp"
#include "async/event.hpp"
#include "etcd/store.hpp"

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace pgkeel::test {

/// etcd in memory: the keys, revisions, leases and watches of one cluster, by etcd's own rules (etcd documentation,
/// "Data model" and "API guarantees"). Several MemoryStore may stand for the clients of one; a wrapper can put a bad
/// network between.
///
/// - A transaction that changes something makes one new revision, whatever it changes; one that changes nothing makes
/// none.
/// - Operations of a transaction are done in order, and a read sees what was put before it; one key may be changed only
/// once.
/// - A put without a lease takes the key out of the lease that it was under.
/// - A lease that ends takes its keys with it, all in one revision.
/// - A watch tells every change from its revision on, in order, one call for each revision.
class MemoryEtcd {
  public:
    explicit MemoryEtcd(Clock& clock) : clock_(clock) {}
    MemoryEtcd(const MemoryEtcd&) = delete;
    MemoryEtcd& operator=(const MemoryEtcd&) = delete;

    etcd::RangeResult range(const std::string& prefix);
    /// Errors: lease_gone; unavailable — a key is changed twice in one branch. Nothing is changed then.
    Result<etcd::TransactionResult> commit(const etcd::Transaction& transaction);
    /// A `ttl` below etcd's least, 2 s, becomes that.
    etcd::LeaseId grant(std::chrono::seconds ttl);
    Result<> keep_alive(etcd::LeaseId lease);
    Result<> revoke(etcd::LeaseId lease);
    etcd::Revision revision() const { return revision_; }
    std::uint64_t reads() const { return reads_; }  ///< ranges, until now
    /// Watches cannot begin before `revision` any more.
    void compact(etcd::Revision revision);
    /// Ends every stream, as the death of the member that served it does.
    void break_watches();
    bool has_lease(etcd::LeaseId lease);

  private:
    friend class MemoryStore;
    struct Lease {
        std::chrono::seconds ttl{};
        Instant ends{};
        std::set<std::string> keys;
        Clock::Alarm alarm;
    };
    struct Change {
        etcd::Revision revision = 0;
        std::vector<etcd::WatchEvent> events;
    };
    struct Watcher {
        std::string prefix;
        etcd::Revision next = 0;
        bool broken = false;
        Event news;
    };

    bool holds(const etcd::Compare& compare) const;
    void put(const etcd::Operation& operation, Change& change);
    void remove(const std::string& key, Change& change);
    void publish(Change change);
    void arm(etcd::LeaseId id);
    void end_due_leases();
    void end_lease(etcd::LeaseId id);

    Clock& clock_;
    etcd::Revision revision_ = 1;
    etcd::Revision compacted_ = 0;
    etcd::LeaseId next_lease_ = 0x7a11;
    std::map<std::string, etcd::KeyValue> values_;
    std::map<etcd::LeaseId, Lease> leases_;
    std::vector<Change> log_;
    std::list<Watcher*> watchers_;
    std::uint64_t reads_ = 0;
};

/// One client of it.
class MemoryStore final : public etcd::Store {
  public:
    explicit MemoryStore(MemoryEtcd& etcd) : etcd_(etcd) {}

    /// Whether the network is there: without it every call fails with `unavailable`, and watches end.
    void connect(bool connected);

    Task<Result<etcd::RangeResult>> range(std::string prefix, Deadline deadline) override;
    Task<Result<etcd::TransactionResult>> commit(etcd::Transaction transaction, Deadline deadline) override;
    Task<Result<etcd::LeaseId>> grant(std::chrono::seconds ttl, Deadline deadline) override;
    Task<Result<>> keep_alive(etcd::LeaseId lease, Deadline deadline) override;
    Task<Result<>> revoke(etcd::LeaseId lease, Deadline deadline) override;
    Task<Error> watch(std::string prefix, etcd::Revision from, OnEvents on_events) override;

  private:
    /// A request goes over the network: others run before its answer is there. False: the network is not there.
    Task<bool> travel();

    MemoryEtcd& etcd_;
    bool connected_ = true;
    std::list<MemoryEtcd::Watcher*> watchers_;
};

}  // namespace pgkeel::test
