#pragma once
#include "config/pooler.hpp"

#include <string>
#include <vector>

namespace pgkeel::config {

/// What a RELOAD has to do. Names are sorted.
struct PoolerChanges {
    struct Setting {
        std::string name;
        bool needs_restart = false;
        bool operator==(const Setting&) const = default;
    };
    std::vector<Setting> settings;
    bool client_tls = false;  ///< new clients get the new TLS settings
    bool server_tls = false;  ///< the servers of every database must be closed when they are released

    std::vector<std::string> databases_added, databases_removed;
    /// Their servers must be closed when they are released: another server, user, password, or start of a session.
    std::vector<std::string> databases_to_reconnect;
    /// Only limits, modes and the like are different.
    std::vector<std::string> databases_adjusted;
    std::vector<std::string> users;  ///< added, removed or changed
    std::vector<std::int64_t> peers;
    bool listeners_need_restart = false;
    bool cluster_needs_restart = false;  ///< scope or namespace, or none is followed any more
    bool etcd = false;                   ///< its addresses, login or certificates

    bool empty() const;
    bool needs_restart() const;
};

PoolerChanges compare(const PoolerConfig& running, const PoolerConfig& fresh);

/// `fresh` as a running process can take it over: what needs a restart stays as it runs.
PoolerConfig reloaded(const PoolerConfig& running, PoolerConfig fresh);

}  // namespace pgkeel::config
