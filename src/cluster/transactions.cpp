#include "cluster/transactions.hpp"

namespace pgkeel::cluster {
namespace {

using etcd::Compare;
using etcd::Operation;
using etcd::Transaction;

Compare created_at(std::string key, etcd::Revision revision) {
    return {std::move(key), Compare::Target::create_revision, revision, {}};
}

Compare bound_to(std::string key, etcd::LeaseId lease) {
    return {std::move(key), Compare::Target::lease, lease, {}};
}

std::vector<Operation> read_both(const Keys& keys) {
    return {Operation::read(keys.leader()), Operation::read(keys.status())};
}

/// Everything that an election looked at is still as it was. A key that does not exist has revision zero, in etcd as in
/// the view.
std::vector<Compare> unchanged_since(const Keys& keys, const ClusterView& seen) {
    return {
        seen.leader ? Compare::unchanged(keys.leader(), seen.leader->mod_revision) : Compare::absent(keys.leader()),
        Compare::unchanged(keys.status(), seen.status.mod_revision),
        Compare::unchanged(keys.history(), seen.history_mod_revision),
        Compare::unchanged(keys.sync(), seen.sync ? seen.sync->mod_revision : 0),
        Compare::unchanged(keys.failsafe(), seen.failsafe_mod_revision),
    };
}

}  // namespace

Transaction drop_stale_lease(const Keys& keys, const ClusterView& seen) {
    return {unchanged_since(keys, seen), {Operation::remove(keys.leader())}, read_both(keys)};
}

Transaction take_lease(const Keys& keys, const ClusterView& seen, const std::string& name, etcd::LeaseId lease,
                       const StatusKey& next, const std::optional<SyncKey>& sync) {
    Transaction take{unchanged_since(keys, seen),
                     {Operation::put(keys.leader(), name, lease), Operation::put(keys.status(), write_status(next))},
                     read_both(keys)};
    if (sync) take.success.push_back(Operation::put(keys.sync(), write_sync(*sync)));
    return take;
}

Transaction renew_lease(const Keys& keys, const std::string& name, etcd::LeaseId lease, etcd::Revision epoch,
                        const StatusKey& next) {
    return {{Compare::holds(keys.leader(), name), created_at(keys.leader(), epoch), bound_to(keys.leader(), lease)},
            {Operation::put(keys.status(), write_status(next))},
            read_both(keys)};
}

Transaction restore_lease(const Keys& keys, const std::string& name, etcd::LeaseId lease,
                          etcd::Revision last_status_mod_revision) {
    return {{Compare::absent(keys.leader()), Compare::unchanged(keys.status(), last_status_mod_revision)},
            {Operation::put(keys.leader(), name, lease)},
            read_both(keys)};
}

Transaction move_lease(const Keys& keys, const std::string& name, etcd::Revision epoch, etcd::LeaseId new_lease) {
    return {{Compare::holds(keys.leader(), name), created_at(keys.leader(), epoch)},
            {Operation::put(keys.leader(), name, new_lease)},
            read_both(keys)};
}

Transaction release_lease(const Keys& keys, const std::string& name, etcd::Revision epoch, const StatusKey& next) {
    return {{Compare::holds(keys.leader(), name), created_at(keys.leader(), epoch)},
            {Operation::remove(keys.leader()), Operation::put(keys.status(), write_status(next))},
            read_both(keys)};
}

Transaction write_as_leader(const Keys& keys, const std::string& name, etcd::Revision epoch, const std::string& key,
                            const std::string& value, etcd::Revision mod_revision) {
    return {
        {Compare::holds(keys.leader(), name), created_at(keys.leader(), epoch), Compare::unchanged(key, mod_revision)},
        {value.empty() ? Operation::remove(key) : Operation::put(key, value)},
        {Operation::read(key)}};
}

Transaction claim_initialize(const Keys& keys, const std::string& id, etcd::LeaseId lease) {
    return {{Compare::absent(keys.initialize())},
            {Operation::put(keys.initialize(), id, lease)},
            {Operation::read(keys.initialize())}};
}

Transaction finish_bootstrap(const Keys& keys, const std::string& id, const std::string& system_identifier,
                             const std::string& config, const std::string& name, etcd::LeaseId lease,
                             const StatusKey& next) {
    return {{Compare::holds(keys.initialize(), id), Compare::absent(keys.leader())},
            {Operation::put(keys.initialize(), system_identifier), Operation::put(keys.config(), config),
             Operation::put(keys.leader(), name, lease), Operation::put(keys.status(), write_status(next))},
            {Operation::read(keys.initialize()), Operation::read(keys.leader())}};
}

Transaction abandon_bootstrap(const Keys& keys, const std::string& id) {
    return {{Compare::holds(keys.initialize(), id)},
            {Operation::remove(keys.initialize())},
            {Operation::read(keys.initialize())}};
}

}  // namespace pgkeel::cluster
