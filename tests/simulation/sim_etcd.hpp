#pragma once
#include "async/event.hpp"
#include "etcd/store.hpp"
#include "simulation/world.hpp"

#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>

namespace pgkeel::simulation {

/// etcd's replicated state: linearizable, with leases whose timers are not to be trusted.
class SimEtcd {
  public:
    explicit SimEtcd(World& world) : world_(world) {}

    etcd::TransactionResult commit(const etcd::Transaction& transaction, bool* lease_gone);
    etcd::RangeResult range(const std::string& prefix) const;
    etcd::LeaseId grant(std::chrono::seconds ttl);
    bool keep_alive(etcd::LeaseId lease);
    void revoke(etcd::LeaseId lease);
    /// Measured misbehaviour: leases of healthy clients end early (a thawed member replays its queued revokes), …
    void revoke_some_lease();
    /// … and every lease starts again at its whole ttl when etcd's own leader changes.
    void extend_leases();
    void remove(const std::string& key);
    const etcd::KeyValue* find(const std::string& key) const;
    etcd::Revision revision() const { return revision_; }

    struct Watcher {
        std::string prefix;
        std::function<void(etcd::Revision, const std::vector<etcd::WatchEvent>&)> tell;
    };
    std::list<Watcher> watchers;

    // Faults
    bool answers = true;           ///< false: no quorum
    double lost_before = 0;        ///< a request never arrives
    double lost_after = 0;         ///< it is carried out, and the answer never comes
    bool keep_alive_lies = false;  ///< a stuck leader says yes without doing anything
    Duration slow{};               ///< added to every request

  private:
    void put(const std::string& key, const std::string& value, etcd::LeaseId lease,
             std::vector<etcd::WatchEvent>& events);
    void erase(const std::string& key, std::vector<etcd::WatchEvent>& events);
    void publish(const std::vector<etcd::WatchEvent>& events);
    void expire(etcd::LeaseId lease);
    void arm(etcd::LeaseId lease);

    struct Lease {
        std::chrono::seconds ttl;
        std::shared_ptr<void> alarm;
    };
    World& world_;
    std::map<std::string, etcd::KeyValue> keys_;
    std::map<etcd::LeaseId, Lease> leases_;
    etcd::Revision revision_ = 1;
    etcd::LeaseId last_lease_ = 1000;
};

/// One node's way to etcd.
class SimStore final : public etcd::Store {
  public:
    SimStore(World& world, SimEtcd& etcd, Clock& clock, std::function<bool()> connected)
        : world_(world), etcd_(etcd), clock_(clock), connected_(std::move(connected)) {}

    Task<Result<etcd::RangeResult>> range(std::string prefix, Deadline deadline) override;
    Task<Result<etcd::TransactionResult>> commit(etcd::Transaction transaction, Deadline deadline) override;
    Task<Result<etcd::LeaseId>> grant(std::chrono::seconds ttl, Deadline deadline) override;
    Task<Result<>> keep_alive(etcd::LeaseId lease, Deadline deadline) override;
    Task<Result<>> revoke(etcd::LeaseId lease, Deadline deadline) override;
    Task<Error> watch(std::string prefix, etcd::Revision from, OnEvents on_events) override;

    Duration answers_late{};  ///< fault: added to the way back of every answer to this node

  private:
    /// The way there. False: the request did not arrive before the deadline.
    Task<bool> arrive(Deadline deadline);
    /// The way back. False: it was carried out and nobody hears of it.
    Task<bool> come_back(Deadline deadline);

    World& world_;
    SimEtcd& etcd_;
    Clock& clock_;
    std::function<bool()> connected_;
};

}  // namespace pgkeel::simulation
