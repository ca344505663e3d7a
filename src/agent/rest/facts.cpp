#include "agent/rest/facts.hpp"

#include "agent/node.hpp"

#include <algorithm>

namespace pgkeel::agent::rest {
namespace {

/// The node's own word while it is doing something to the server, else what was seen just now.
std::string state_of(const Node& node, const ServerState& server) {
    const auto& operation = node.last().operation;
    const bool steers =
        operation && operation->kind != ha::Operation::follow && operation->kind != ha::Operation::promote;
    const std::string told = node.state();
    if (steers) return told;
    if (server.running()) {
        if (server.accepts_connections) return "running";
        return server.query_failed ? "unknown" : "starting";
    }
    return told == "running" || told == "unknown" || told == "starting" ? "stopped" : told;
}

Role role_of(const Node& node, const ServerState& server, bool leads_standby_cluster) {
    if (!server.accepts_connections) return node.role();
    if (!server.in_recovery) return Role::primary;
    return leads_standby_cluster ? Role::standby_leader : Role::replica;
}

}  // namespace

NodeFacts facts_of(const Node& node, const ServerState& server, Instant now) {
    const ha::Snapshot& seen = node.last();
    NodeFacts facts;
    facts.name = node.identity().name;
    facts.scope = node.identity().scope;
    facts.patroni_version = node.identity().version;
    facts.server = server;
    facts.state = state_of(node, server);
    facts.holds_lease = node.holds_lease();
    facts.is_open = node.is_open();
    facts.standby_cluster = seen.settings.standby_cluster;
    facts.role = role_of(node, server, facts.holds_lease && facts.standby_cluster);
    if (const auto deadline = node.lease_deadline()) facts.lease_seconds_left = std::max(0.0, seconds(*deadline - now));
    facts.has_view = seen.view.has_value();
    facts.leader_position = server.latest_end;
    if (seen.view) {
        facts.cluster_unlocked = !seen.view->leader;
        if (seen.view->leader) facts.epoch = seen.view->leader->create_revision;
        facts.leader_position = std::max(seen.view->status.optime, server.latest_end);
        const bool synchronous = seen.settings.synchronous_mode != SynchronousMode::off && facts.role == Role::replica;
        if (synchronous && seen.view->sync && std::ranges::count(seen.view->sync->members, facts.name) != 0)
            (seen.settings.synchronous_mode == SynchronousMode::quorum ? facts.quorum_standby : facts.sync_standby) =
                true;
    }
    facts.paused = seen.settings.pause;
    facts.watchdog_failed = node.watchdog_failed();
    facts.history_diverged = seen.history_diverged;
    facts.cannot_write = seen.cannot_write;
    facts.failsafe_is_active = node.failsafe_is_active();
    facts.failsafe_member = seen.view && seen.view->failsafe && seen.view->failsafe->contains(facts.name);
    facts.failsafe_mode = seen.settings.failsafe_mode;
    facts.maximum_lag_on_failover_bytes = seen.settings.maximum_lag_on_failover_bytes;
    if (seen.heartbeat.ever()) facts.heartbeat_age_seconds = seconds(now - seen.heartbeat.changed_at());
    if (seen.operation) facts.operation = ha::to_string(seen.operation->kind);
    facts.alive = node.is_alive();
    facts.store_last_seen_s =
        std::chrono::duration_cast<std::chrono::seconds>(node.store_last_seen().time_since_epoch()).count();
    facts.tags = node.identity().tags;
    facts.published_tags = node.identity().published_tags;
    if (node.scheduled_restart()) facts.scheduled_restart = node.scheduled_restart()->as_given;
    return facts;
}

}  // namespace pgkeel::agent::rest
