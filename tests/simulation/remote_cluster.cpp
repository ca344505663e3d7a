// Another cluster that this one follows for a while: an operator demotes it, and promotes it again. Every fifth seed
// has that story; the rest draw as if it were not there.
#include "ha/wal_source.hpp"
#include "simulation/cluster.hpp"

namespace pgkeel::simulation {

using namespace std::chrono_literals;
using State = Machine::State;

const Machine* Cluster::source_machine(const std::string& from, const std::string& name) const {
    if (ha::is_remote_source(name)) return remote_ ? &*remote_ : nullptr;
    return reachable_machine(from, name);
}

void Cluster::patch_config(const std::string& standby_cluster) {
    bool gone = false;
    etcd_.commit({{}, {etcd::Operation::put(keys().config(), config_text(standby_cluster))}, {}}, &gone);
}

void Cluster::plan_demotion_and_promotion(Duration fault_time) {
    if (!follows_another_cluster()) return;
    const Instant begin = world_.now();
    world_.surely_at(begin + fault_time / 3, [this] { follow_another_cluster(); });
    world_.surely_at(begin + fault_time * 3 / 4, [this] { stand_alone_again(); });
}

/// It was promoted from a copy of this cluster, a moment ago: what is written here since is not in its history.
void Cluster::follow_another_cluster() {
    const etcd::KeyValue* leader = etcd_.find(keys().leader());
    const Machine* primary = leader ? machine(leader->value) : nullptr;
    if (!primary || primary->state != State::primary) return;
    remote_ = *primary;
    remote_->name = "another cluster's primary";
    remote_->history.push_back({remote_->timeline, remote_->position, "no recovery target specified", {}, {}});
    remote_->timeline.id += 1;
    noted("operator: the cluster follows another one, on timeline {} from {}", remote_->timeline.id,
          to_string(remote_->position));
    patch_config(R"(,"standby_cluster":{"host":"remote"})");
}

void Cluster::stand_alone_again() {
    if (!remote_) return;
    noted("operator: the cluster stands alone again");
    patch_config("");
}

}  // namespace pgkeel::simulation
