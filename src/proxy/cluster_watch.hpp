#pragma once
#include "base/result.hpp"
#include "config/pooler.hpp"
#include "http/client.hpp"
#include "proxy/topology.hpp"

#include <functional>
#include <memory>

namespace pgkeel::proxy {

/// Follows the cluster in etcd on a thread of its own, and asks its members how they are.
///
/// A change of the leader key is passed on as the watch brings it. Every few seconds the keys are read as well: watches
/// lose events, and a silent one looks like a quiet cluster. While etcd does not answer the last topology stays, marked
/// stale, and the members' REST APIs go on telling state and lag.
class ClusterWatch {
  public:
    struct Options {
        /// For the members' REST APIs, where those speak TLS.
        http::ClientTls rest_tls{};
        RouteLimits limits{};
    };
    /// Called on the watch's thread, one at a time: with the first topology, and with each one that sends clients
    /// elsewhere. It must not wait, nor end the watch.
    using OnChange = std::function<void(std::shared_ptr<const Topology>)>;

    /// Connects to nothing before it returns; the first topology comes when etcd has answered, or has not for two
    /// seconds. Errors: invalid_input — no cluster is named, or an address of etcd is wrong.
    static Result<std::unique_ptr<ClusterWatch>> start(const config::PoolerConfig& config, Options options,
                                                       OnChange on_change);
    /// Waits for a callback that runs; none comes afterwards.
    ~ClusterWatch();
    ClusterWatch(const ClusterWatch&) = delete;
    ClusterWatch& operator=(const ClusterWatch&) = delete;

    /// The newest one, with figures at most about a second old; never null. Callable from any thread.
    std::shared_ptr<const Topology> latest() const;

    /// Takes etcd's addresses, credentials and certificates again and trusts whichever etcd answers next, which is how
    /// an operator says that it was replaced. Scope and namespace stay. Callable from any thread but the watch's.
    /// Errors: as start; the old ones then stay in use.
    Result<> reload(const config::PoolerConfig& config, http::ClientTls rest_tls);

    /// Goes by these limits and reads these TLS files again; a topology follows at once. Callable from any thread; does
    /// not wait.
    void use(Options options);

  private:
    struct Impl;
    explicit ClusterWatch(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace pgkeel::proxy
