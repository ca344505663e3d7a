#pragma once
#include "base/result.hpp"
#include "local/layout.hpp"

#include <string>
#include <vector>

namespace pgkeel::local {

struct NodePlan {
    std::string name;  ///< pg-a, pg-b, …
    int postgres_port = 0;
    int rest_port = 0;
};
struct EtcdPlan {
    std::string name;  ///< etcd-1, …
    int client_port = 0;
    int peer_port = 0;
};
/// Where one listener of the proxy is (proxy_listeners.hpp).
struct ProxyPort {
    std::string listener;
    int port = 0;
};
/// Random texts of 128 bits or more, made with the plan.
struct Passwords {
    std::string superuser, replication, rewind;  ///< PostgreSQL: postgres, replicator, rewinder
    std::string rest;                            ///< REST API: pgkeel
    std::string etcd_root, etcd;                 ///< etcd: root, pgkeel
};

/// What was decided once for a cluster and is remembered in its directory (cluster.json, mode 0600).
struct Plan {
    std::string scope = "demo";
    std::string etcd_token;  ///< keeps members of two clusters apart that meet on a port
    std::vector<NodePlan> nodes;
    std::vector<EtcdPlan> etcd;
    std::vector<ProxyPort> proxy;  ///< one for each listener, in their order
    Passwords passwords;

    std::vector<int> ports() const;
    /// 0: the proxy has no such listener.
    int proxy_port(const std::string& listener) const;
    const NodePlan* node(const std::string& name) const;
};

inline constexpr int nodes_max = 9;
inline constexpr int nodes_default = 3;
inline constexpr int etcd_members = 3;

/// A new plan with free ports and new passwords. Errors: invalid_input — the scope or the count; unavailable — no free
/// ports.
Result<Plan> make_plan(const std::string& scope, int nodes);
/// Adds nodes up to `nodes`. Errors: invalid_input — there are more already.
Result<> grow(Plan& plan, int nodes);

/// Gives each listener of the proxy a port that has none: a plan made by an older pgkeel knows of no proxy. Errors:
/// unavailable.
Result<> add_proxy(Plan& plan);

/// Errors: not_found — no cluster was ever made here; invalid_input — the file is damaged.
Result<Plan> load_plan(const Layout& layout);
Result<> save_plan(const Layout& layout, const Plan& plan);

/// 128 bits of the kernel's randomness as 32 hexadecimal digits: needs no quoting anywhere.
std::string random_secret();

}  // namespace pgkeel::local
