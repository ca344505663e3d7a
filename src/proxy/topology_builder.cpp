#include "proxy/topology_builder.hpp"

#include "cluster/json_reading.hpp"

#include <algorithm>

namespace pgkeel::proxy {
namespace {

/// Positions that were told within this time are of one moment: a busy primary writes a hundred megabytes in the second
/// between two rounds of questions, and none of them is lag.
constexpr Duration one_moment = std::chrono::milliseconds(250);

constexpr Instant never{Instant::min().time_since_epoch() / 2};  ///< can be subtracted from

SocketClaim claim_of(const Member& member) {
    const auto in = cluster::read_object(member.raw);
    if (!in) return {};
    return {.directory = cluster::text_of(*in, "unix_socket"),
            .id = cluster::text_of(*in, "unix_socket_id"),
            .port = member.port};
}

}  // namespace

void TopologyBuilder::saw(const ClusterView& view, Instant now) {
    cluster_id_ = view.initialize.value_or("");
    const std::int64_t epoch = view.leader ? view.leader->create_revision : 0;
    // A new leader may be behind where the old one was: what nobody has got can be no standby's lag.
    if (epoch != 0 && epoch != epoch_) leader_position_ = {};
    epoch_ = epoch;
    leader_name_ = view.leader ? view.leader->name : "";
    for (const Member& member : view.members) take(member, now);
    // The leader's own key may be late or lost for a moment; where it is, is known from before.
    std::erase_if(members_, [&](const auto& known) {
        return known.first != leader_name_ && view.member(known.first) == nullptr;
    });
    if (const Known* now_leading = leader()) leader_position_ = std::max(leader_position_, now_leading->facts.position);
    // Patroni's leader signs its status with no name, and the one before may have left it behind.
    if (!leader_name_.empty() && view.status.holder == leader_name_)
        leader_position_ = std::max(leader_position_, view.status.optime);
    measure_lag(now);
    look_at_steps(now);
}

void TopologyBuilder::take(const Member& member, Instant now) {
    Known& known = members_[member.name];
    if (known.raw == member.raw && !known.raw.empty()) return;  // the REST API may have told more since
    known.raw = member.raw;
    known.host = member.host;
    known.port = member.port;
    known.runs_pgkeel = member.runs_pgkeel;
    known.facts = facts_of(member);
    known.position_at = now;
    SocketClaim claim = claim_of(member);
    if (claim == known.claim) return;
    known.claim = std::move(claim);
    known.socket_is_here = !known.claim.directory.empty() && is_here_(known.claim);
}

void TopologyBuilder::heard(const std::string& name, MemberFacts facts, Instant now) {
    const auto found = members_.find(name);
    if (found == members_.end()) return;  // its key has gone while it was asked
    Known& known = found->second;
    known.facts = std::move(facts);
    known.position_at = now;
    known.last_heard = now;
    if (name == leader_name_ && known.facts.position) leader_position_ = known.facts.position;
    measure_lag(now);
    look_at_steps(now);
}

void TopologyBuilder::check_sockets() {
    for (auto& [name, known] : members_) known.socket_is_here = !known.claim.directory.empty() && is_here_(known.claim);
}

void TopologyBuilder::measure_lag(Instant now) {
    Lsn reference = leader_position_;
    if (!reference)
        for (const auto& [name, known] : members_) reference = std::max(reference, known.facts.position);
    for (auto& [name, known] : members_) {
        if (now - known.position_at > one_moment) continue;
        known.lag_bytes.reset();
        if (known.facts.position) known.lag_bytes = lag_bytes(reference, known.facts.position);
    }
}

const TopologyBuilder::Known* TopologyBuilder::leader() const {
    const auto found = members_.find(leader_name_);
    return leader_name_.empty() || found == members_.end() ? nullptr : &found->second;
}

bool TopologyBuilder::is_unsettled() const {
    if (leader_name_.empty()) return false;
    const Known* known = leader();
    return known == nullptr || (known->facts.role != Role::primary && known->facts.role != Role::standby_leader);
}

bool TopologyBuilder::is_in_step(const Known& standby) const {
    const MemberFacts& facts = standby.facts;
    const Timeline current = leader()->facts.timeline;
    if (facts.timeline && current && facts.timeline != current) return false;
    if (!facts.replication_state.empty()) return facts.replication_state == "streaming";
    // Our agents leave it out when nothing is received; Patroni says it from 3.0.4 on, and before that a standby's lag
    // is all there is.
    return !standby.runs_pgkeel;
}

void TopologyBuilder::look_at_steps(Instant now) {
    const bool has_primary = leader() != nullptr && !is_unsettled();
    for (auto& [name, known] : members_) {
        if (!has_primary || name == leader_name_) {
            known.out_of_step_since.reset();
        } else if (is_in_step(known)) {
            known.has_been_in_step = true;
            known.out_of_step_since.reset();
        } else if (!known.out_of_step_since) {
            // Only who has streamed before gets time to do it again.
            known.out_of_step_since = known.has_been_in_step ? now : never;
        }
    }
}

Topology TopologyBuilder::build(bool stale, Instant now) const {
    Topology topology{
        .cluster_id = cluster_id_, .leader = leader_name_, .epoch = epoch_, .stale = stale, .built_at = now};
    for (const auto& [name, known] : members_) {
        const MemberFacts& facts = known.facts;
        Place place{.name = name,
                    .host = known.host,
                    .port = known.port,
                    .unix_socket = known.socket_is_here ? known.claim.directory : "",
                    .leads = name == leader_name_,
                    .role = facts.role,
                    .state = facts.state,
                    .replication_state = facts.replication_state,
                    .timeline = facts.timeline,
                    .position = facts.position,
                    .lag_bytes = known.lag_bytes,
                    .noloadbalance = facts.noloadbalance,
                    .last_heard = known.last_heard,
                    .out_of_step_since = known.out_of_step_since};
        topology.places.push_back(std::move(place));
    }
    return topology;
}

}  // namespace pgkeel::proxy
