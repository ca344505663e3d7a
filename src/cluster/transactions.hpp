#pragma once
#include "cluster/keys.hpp"

#include <string>

namespace pgkeel::cluster {

// The writes that decide who leads, as etcd transactions. Pure; the agent and the simulation send the same ones.
//
// The argument (reliability notes 0.2 and 4.2, docs/decisions/0002-lease.md): a renewal is a *write* that only a quorum
// of etcd can accept; a take-over names everything that its decision rests on by revision, so that it loses when any of
// that has changed since it was read. The losing branch reads what it lost against.

/// The leader key is free, or its holder's time is over by our own clock: take it.
/// Loses when the leader key, its status, the sync set or the history is not what `seen` says any more.
/// With a stale key in `seen` the new holder inherits the key's create_revision: see drop_stale_lease.
/// \param sync  what the key `sync` becomes by it (ha::succeed); nothing: it stays
etcd::Transaction take_lease(const Keys& keys, const ClusterView& seen, const std::string& name, etcd::LeaseId lease,
                             const StatusKey& next, const std::optional<SyncKey>& sync = {});

/// The first half of taking a *stale* key so that the epoch grows: a put onto it would keep its create_revision, and
/// etcd refuses to delete and put one key in one transaction. Afterwards: take_lease with the same view, its `leader`
/// emptied. Whoever comes in between (the old holder restoring its key, another candidate) makes that lose.
etcd::Transaction drop_stale_lease(const Keys& keys, const ClusterView& seen);

/// We lead: one more heartbeat. Its success, and nothing else, moves our deadline, counted from when it was sent.
/// \param epoch  create_revision of the leader key as we took it
etcd::Transaction renew_lease(const Keys& keys, const std::string& name, etcd::LeaseId lease, etcd::Revision epoch,
                              const StatusKey& next);

/// We lead, and etcd has dropped the key before our deadline (its lease was revoked by a member that woke up late): put
/// it back, provided that nobody has led since our last heartbeat, which `last_status_mod_revision` names.
etcd::Transaction restore_lease(const Keys& keys, const std::string& name, etcd::LeaseId lease,
                                etcd::Revision last_status_mod_revision);

/// We lead: the same key, the same epoch, under another lease.
etcd::Transaction move_lease(const Keys& keys, const std::string& name, etcd::Revision epoch, etcd::LeaseId new_lease);

/// We led, and our server has stopped. `next.released_epoch` tells candidates that they need not wait.
etcd::Transaction release_lease(const Keys& keys, const std::string& name, etcd::Revision epoch, const StatusKey& next);

/// We lead: writes a key that only the leader writes, if nobody has since it was at `mod_revision` (0: it is absent).
/// An empty value removes it. The losing branch reads what it lost against.
etcd::Transaction write_as_leader(const Keys& keys, const std::string& name, etcd::Revision epoch,
                                  const std::string& key, const std::string& value, etcd::Revision mod_revision);

/// A cluster without data: the right to create it. `id` is unlike any other attempt's, so that a lost answer can be
/// read back. The claim ends with `lease`, so that a node that dies over its bootstrap does not block the others.
etcd::Transaction claim_initialize(const Keys& keys, const std::string& id, etcd::LeaseId lease);

/// The first primary runs: everything that makes it a cluster, at once.
/// \param config  dynamic configuration, JSON text
etcd::Transaction finish_bootstrap(const Keys& keys, const std::string& id, const std::string& system_identifier,
                                   const std::string& config, const std::string& name, etcd::LeaseId lease,
                                   const StatusKey& next);

/// The attempt has failed: somebody else may try.
etcd::Transaction abandon_bootstrap(const Keys& keys, const std::string& id);

}  // namespace pgkeel::cluster
