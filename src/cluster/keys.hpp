#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "etcd/types.hpp"

#include <string>
#include <vector>

namespace pgkeel::cluster {

/// The names of the cluster's keys. `prefix` ends with a slash.
struct Keys {
    std::string prefix;
    std::string initialize() const { return prefix + "initialize"; }
    std::string config() const { return prefix + "config"; }
    std::string leader() const { return prefix + "leader"; }
    std::string status() const { return prefix + "status"; }
    std::string members() const { return prefix + "members/"; }
    std::string member(const std::string& name) const { return members() + name; }
    std::string failover() const { return prefix + "failover"; }
    std::string sync() const { return prefix + "sync"; }
    std::string failsafe() const { return prefix + "failsafe"; }
    std::string history() const { return prefix + "history"; }
    /// Below it: what is known of WAL that was lost with a leader, by the timeline that ended (lost_wal.hpp). Patroni
    /// does not know it.
    std::string lost_wal() const { return prefix + "lost_wal/"; }
    /// A change of the agents' own passwords that is under way (rotation.hpp); Patroni does not know it.
    std::string rotation() const { return prefix + "rotation"; }
    /// Who drives it, for as long as that process lives.
    std::string rotation_driver() const { return prefix + "rotation_driver"; }
    /// Where Patroni before 2.1 kept the leader's position.
    std::string legacy_optime() const { return prefix + "optime/leader"; }
};

/// Reads the keys. A value that is not what it should be counts as absent and is named in `problems`; nothing throws.
///
/// The revisions stay those of the key that is there, so that a compare-and-swap can replace the bad value. Only `sync`
/// is different: while it cannot be read nobody may win an election, and a view without it makes every take_lease lose.
/// \param before  an earlier view of the same keys: what has not changed since is not read again
ClusterView parse_view(const Keys& keys, const std::vector<etcd::KeyValue>& values, etcd::Revision revision,
                       std::vector<std::string>* problems = nullptr, const ClusterView* before = nullptr);

/// Empty but for the revision when the value cannot be read.
StatusKey parse_status(const etcd::KeyValue& value);

/// A member whose value cannot be read has only its name, `raw` and lease.
Member parse_member(const std::string& name, const etcd::KeyValue& value);

/// What a node publishes of itself. Texts that are JSON are put in as they are; empty: left out.
struct MemberValue {
    std::string conn_url{};
    std::string api_url{};
    std::string state{};
    std::string role{};  ///< a text and not Role: old dashboards may want "master"
    std::string version{};
    std::string pgkeel{};  ///< our own version; Patroni's members have none
    std::string proxy_url{};
    std::string unix_socket{};     ///< directory of the server's Unix socket; its port is that of conn_url
    std::string unix_socket_id{};  ///< socket_directory_id() of it
    bool checkpoint_after_promote_pending = false;
    std::string tags_json{};
    bool pending_restart = false;
    std::string pending_restart_reason_json{};
    bool with_location = false;  ///< the four positions below are known
    Lsn location{};
    Lsn received{};
    Lsn replayed{};
    std::string replication_state{};
    Timeline timeline{};
    std::string scheduled_restart_json{};
    bool pause = false;
};
std::string write_member(const MemberValue& member);

std::string write_status(const StatusKey& status);
std::string write_history(const std::vector<HistoryEntry>& history);
/// An empty request writes {}, which is how the key is cleared.
std::string write_failover(const FailoverRequest& request);
std::string write_failsafe(const std::map<std::string, std::string>& api_urls);
/// Without a leader it writes Patroni's "nobody is synchronous".
std::string write_sync(const SyncKey& sync);

}  // namespace pgkeel::cluster
