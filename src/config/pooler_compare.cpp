#include "config/pooler_compare.hpp"

#include "config/pooler_declared.hpp"

#include <algorithm>

namespace pgkeel::config {
namespace {

/// What a server connection was made with: its address, its login and the start of its session.
bool same_servers(const DatabaseEntry& a, const DatabaseEntry& b) {
    const auto made_with = [](const DatabaseEntry& e) {
        return std::tie(e.dbname, e.hosts, e.port, e.user, e.password, e.connect_query, e.client_encoding, e.datestyle,
                        e.timezone, e.application_name);
    };
    return made_with(a) == made_with(b);
}

/// Calls `visit(key, in a or null, in b or null)` for every key of either map, in order.
template <class Key, class Value, class Visit>
void for_each_key(const std::map<Key, Value>& a, const std::map<Key, Value>& b, const Visit& visit) {
    auto left = a.begin();
    auto right = b.begin();
    while (left != a.end() || right != b.end()) {
        const bool from_left = right == b.end() || (left != a.end() && left->first <= right->first);
        const bool from_right = left == a.end() || (right != b.end() && right->first <= left->first);
        const Key& key = from_left ? left->first : right->first;
        visit(key, from_left ? &left->second : nullptr, from_right ? &right->second : nullptr);
        if (from_left) ++left;
        if (from_right) ++right;
    }
}

bool same_cluster(const PoolerConfig& a, const PoolerConfig& b) {
    return a.follows_cluster == b.follows_cluster && a.scope == b.scope && a.namespace_ == b.namespace_;
}

bool same_etcd(const Etcd& a, const Etcd& b) {
    const auto all = [](const Etcd& e) {
        return std::tie(e.endpoints, e.authentication.username, e.authentication.password, e.tls.ca_file,
                        e.tls.certificate_file, e.tls.key_file, e.tls.key_password, e.use_proxies);
    };
    return all(a) == all(b);
}

}  // namespace

bool PoolerChanges::empty() const {
    return settings.empty() && databases_added.empty() && databases_removed.empty() && databases_to_reconnect.empty() &&
           databases_adjusted.empty() && users.empty() && peers.empty() && !etcd && !needs_restart();
}

bool PoolerChanges::needs_restart() const {
    return listeners_need_restart || cluster_needs_restart ||
           std::ranges::any_of(settings, [](const Setting& setting) { return setting.needs_restart; });
}

PoolerChanges compare(const PoolerConfig& running, const PoolerConfig& fresh) {
    PoolerChanges changes;
    for (const PoolerSetting& setting : pooler_settings()) {
        if (setting.equal(running.settings, fresh.settings)) continue;
        changes.settings.push_back({.name = std::string(setting.name), .needs_restart = !setting.changeable});
        changes.client_tls = changes.client_tls || setting.name.starts_with("client_tls");
        changes.server_tls = changes.server_tls || setting.name.starts_with("server_tls");
    }
    for_each_key(running.databases, fresh.databases,
                 [&](const std::string& name, const DatabaseEntry* before, const DatabaseEntry* after) {
                     if (before == nullptr) return changes.databases_added.push_back(name);
                     if (after == nullptr) return changes.databases_removed.push_back(name);
                     if (!same_servers(*before, *after) || changes.server_tls)
                         changes.databases_to_reconnect.push_back(name);
                     else if (*before != *after)
                         changes.databases_adjusted.push_back(name);
                 });
    for_each_key(running.users, fresh.users,
                 [&](const std::string& name, const UserEntry* before, const UserEntry* after) {
                     if (before == nullptr || after == nullptr || *before != *after) changes.users.push_back(name);
                 });
    for_each_key(running.peers, fresh.peers, [&](std::int64_t id, const PeerEntry* before, const PeerEntry* after) {
        if (before == nullptr || after == nullptr || *before != *after) changes.peers.push_back(id);
    });
    changes.listeners_need_restart = running.listeners != fresh.listeners;
    changes.cluster_needs_restart = !same_cluster(running, fresh);
    changes.etcd = !same_etcd(running.etcd, fresh.etcd);
    return changes;
}

PoolerConfig reloaded(const PoolerConfig& running, PoolerConfig fresh) {
    for (const PoolerSetting& setting : pooler_settings())
        if (!setting.changeable) setting.copy(running.settings, fresh.settings);
    fresh.listeners = running.listeners;
    // The etcd of another cluster is none of the one that is followed.
    if (!same_cluster(running, fresh)) fresh.etcd = running.etcd;
    fresh.follows_cluster = running.follows_cluster;
    fresh.scope = running.scope;
    fresh.namespace_ = running.namespace_;
    return fresh;
}

}  // namespace pgkeel::config
