#pragma once
#include "base/cluster_view.hpp"
#include "cluster/keys.hpp"
#include "cluster/lost_wal.hpp"
#include "config/agent_config.hpp"
#include "etcd/store.hpp"
#include "http/client.hpp"

namespace pgkeel::cluster {

/// How the members' REST API is called. Patroni's rule: each value from section `ctl`, else from `restapi`.
struct ApiAccess {
    http::ClientTls tls;
    config::Credentials authentication;
};
ApiAccess api_access(const config::AgentConfig& config);

/// The cluster as an operator's command deals with it: etcd read linearizably, and the members' REST API. It asks; the
/// agents decide. The store outlives it.
class Admin {
  public:
    Admin(etcd::Store& store, Keys keys, ApiAccess access);

    const Keys& keys() const { return keys_; }
    /// The cluster's keys as they are now. Errors: as Store::range; not_found — etcd holds nothing below the prefix.
    Task<Result<ClusterView>> view(Deadline deadline);
    /// The same, and empty where etcd holds nothing.
    Task<Result<ClusterView>> view_or_empty(Deadline deadline);

    /// What failovers have cost, as far as etcd knows.
    Task<Result<std::vector<LostWalReport>>> lost_wal(Deadline deadline);

    /// One request to a member: `path` ("/restart") takes the place of its api_url's. Any status is an answer. Errors:
    /// as http::Client::request; not_found — the member publishes no api_url.
    Task<Result<http::Response>> call(Member member, std::string method, std::string path, std::string body,
                                      Deadline deadline);

    /// Writes the key `failover`, for when no agent answers its REST API; the agents find it there.
    Task<Result<>> put_request(FailoverRequest request, Deadline deadline);
    /// Stores the dynamic configuration if it still has `mod_revision`. Errors: conflict.
    Task<Result<>> put_config(std::string json, etcd::Revision mod_revision, Deadline deadline);
    /// Removes every key of the cluster. PostgreSQL and its data are not touched.
    Task<Result<>> remove_all(Deadline deadline);
    /// Calls back for each change of the cluster's keys from `from` on; see Store::watch.
    Task<Error> watch(etcd::Revision from, etcd::Store::OnEvents on_events);

  private:
    etcd::Store& store_;
    Keys keys_;
    ApiAccess access_;
    http::Client client_;
};

/// The members in the order in which a request that any of them can serve is tried: the leader first. Only those with
/// an api_url.
std::vector<Member> leader_first(const ClusterView& view);

/// The dynamic configuration as an object; empty when the key is missing or is no object.
boost::json::object dynamic_config(const ClusterView& view);

}  // namespace pgkeel::cluster
