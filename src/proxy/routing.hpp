#pragma once
#include "proxy/cluster_watch.hpp"
#include "proxy/world.hpp"

#include <memory>

namespace pgkeel::proxy {

/// Sends the pools of a cluster to where its servers are.
class Routing {
  public:
    explicit Routing(World& world) : world_(world) {}
    /// Errors: as ClusterWatch::start.
    Result<> start(const config::PoolerConfig& config);
    /// Null: no cluster is followed.
    std::shared_ptr<const Topology> topology() const { return watch_ ? watch_->latest() : nullptr; }

  private:
    /// SET changes some of what the watch goes by.
    void look_at_config();
    /// The operator's word that etcd is where the file says, and to be believed.
    void reload();
    void use(const Topology& topology);
    void leave_old_places(config::Route route, const pool::Places& places, pool::Orders& orders);

    World& world_;
    std::unique_ptr<ClusterWatch> watch_;
    std::shared_ptr<const config::PoolerConfig> config_;  ///< the one that the watch goes by
    std::int64_t leader_epoch_ = 0;
    /// Counts the leaders that were seen. An etcd that an operator has put in the place of another begins with small
    /// numbers again; pools must not take that for news that come late.
    std::int64_t epoch_ = 0;
};

}  // namespace pgkeel::proxy
