#include "proxy/topology.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::proxy {
namespace {

bool runs(const Place& place) {
    // Patroni's lists show a standby's replication in place of its state, so both words are around.
    return place.state == "running" || place.state == "streaming";
}

bool is_reachable(const Place& place) {
    return !place.host.empty() || !place.unix_socket.empty();
}

bool same_place(const Topology& one, const Place& a, const Topology& other, const Place& b, const RouteLimits& limits) {
    return a.name == b.name && a.host == b.host && a.port == b.port && a.unix_socket == b.unix_socket &&
           a.leads == b.leads && a.role == b.role && a.state == b.state && a.noloadbalance == b.noloadbalance &&
           a.timeline == b.timeline &&
           unfit_for_reads(one, a, limits).has_value() == unfit_for_reads(other, b, limits).has_value();
}

}  // namespace

const Place* Topology::place(const std::string& name) const {
    const auto found = std::ranges::find(places, name, &Place::name);
    return found == places.end() ? nullptr : &*found;
}

std::optional<std::string> unfit_for_reads(const Topology& topology, const Place& place, const RouteLimits& limits) {
    const auto for_s = [&](Instant since) { return seconds(topology.built_at - since); };
    if (place.leads) return "it is the leader";
    if (!is_reachable(place)) return "it publishes no address";
    if (place.noloadbalance) return "it has the tag noloadbalance";
    // One that calls itself a primary without the leader key has been deposed, or is about to be.
    if (place.role != Role::replica && place.role != Role::standby_leader)
        return fmt::format("its role is {}", to_string(place.role));
    if (!runs(place)) return fmt::format("its state is {}", place.state.empty() ? "unknown" : place.state);
    if (place.last_heard && topology.built_at - *place.last_heard > limits.silent_max)
        return fmt::format("its agent has not answered for {:.1f} s", for_s(*place.last_heard));
    if (place.out_of_step_since && topology.built_at - *place.out_of_step_since > limits.out_of_step_max)
        return "it does not stream from the primary";
    if (!place.lag_bytes) return "its lag is not known";
    if (*place.lag_bytes > limits.lag_bytes_max)
        return fmt::format("it is {} bytes behind, at most {} are allowed", *place.lag_bytes, limits.lag_bytes_max);
    return std::nullopt;
}

std::vector<const Place*> places_for(const Topology& topology, config::Route route, const RouteLimits& limits) {
    if (route == config::Route::configured) return {};
    const Place* leader = topology.leader_place();
    if (leader != nullptr && !is_reachable(*leader)) leader = nullptr;
    std::vector<const Place*> found;
    if (route == config::Route::standby || route == config::Route::any)
        for (const Place& place : topology.places)
            if (!unfit_for_reads(topology, place, limits)) found.push_back(&place);
    if (route == config::Route::any) {
        if (leader != nullptr && runs(*leader)) found.push_back(leader);
        if (found.empty())
            for (const Place& place : topology.places)
                if (runs(place) && is_reachable(place)) found.push_back(&place);
    }
    if (found.empty() && leader != nullptr && route != config::Route::any) found.push_back(leader);
    return found;
}

bool same_routing(const Topology& one, const Topology& other, const RouteLimits& limits) {
    return one.cluster_id == other.cluster_id && one.leader == other.leader && one.epoch == other.epoch &&
           one.stale == other.stale &&
           std::ranges::equal(one.places, other.places,
                              [&](const Place& a, const Place& b) { return same_place(one, a, other, b, limits); });
}

}  // namespace pgkeel::proxy
