#include "agent/rest/status.hpp"

#include "base/version.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

json::value text_or_null(const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
}

json::object positions(const ServerState& server) {
    if (!server.in_recovery) return {{"location", server.written.bytes}};
    const Lsn received = server.received ? server.received : server.replayed;
    return {{"received_location", received.bytes},
            {"replayed_location", server.replayed.bytes},
            {"replayed_timestamp", text_or_null(server.replayed_timestamp)},
            {"paused", server.replay_paused}};
}

json::array clients(const std::vector<ReplicationClient>& replication) {
    json::array rows;
    for (const ReplicationClient& client : replication)
        rows.push_back(json::object{{"usename", client.usename},
                                    {"application_name", client.application_name},
                                    {"client_addr", text_or_null(client.client_addr)},
                                    {"state", client.state},
                                    {"sync_state", client.sync_state},
                                    {"sync_priority", client.sync_priority}});
    return rows;
}

void add_server(json::object& out, const NodeFacts& facts) {
    const ServerState& server = facts.server;
    out["postmaster_start_time"] = text_or_null(server.postmaster_start_time);
    out["role"] = to_string(facts.role);
    out["server_version"] = server.version_number;
    out["xlog"] = positions(server);
    if (facts.sync_standby) out["sync_standby"] = true;
    if (facts.quorum_standby) out["quorum_standby"] = true;
    if (server.timeline) out["timeline"] = server.timeline.id;
    if (!server.replication_state.empty() && server.in_recovery) out["replication_state"] = server.replication_state;
    if (!server.replication.empty()) out["replication"] = clients(server.replication);
}

}  // namespace

json::object status_json(const NodeFacts& facts) {
    json::object out;
    out["state"] = facts.state;
    // Without a position in the answer, peers count the node as one that cannot be reached.
    if (facts.server.accepts_connections)
        add_server(out, facts);
    else
        out["role"] = to_string(facts.role);
    if (facts.paused) out["pause"] = true;
    if (facts.cluster_unlocked) out["cluster_unlocked"] = true;
    if (facts.failsafe_is_active) out["failsafe_mode_is_active"] = true;
    out["dcs_last_seen"] = std::max<std::int64_t>(0, facts.store_last_seen_s);
    if (!facts.published_tags.empty()) out["tags"] = facts.published_tags;
    if (!facts.server.system_identifier.empty()) out["database_system_identifier"] = facts.server.system_identifier;
    if (facts.server.pending_restart) {
        out["pending_restart"] = true;
        boost::system::error_code error;
        json::value reason = json::parse(facts.server.pending_restart_reason_json, error);
        out["pending_restart_reason"] = !error && reason.is_object() ? std::move(reason) : json::object{};
    }
    out["patroni"] = json::object{{"version", facts.patroni_version}, {"scope", facts.scope}, {"name", facts.name}};
    if (facts.watchdog_failed) out["watchdog_failed"] = true;
    if (facts.scheduled_restart) {
        json::object scheduled = *facts.scheduled_restart;
        scheduled.erase("postmaster_start_time");
        out["scheduled_restart"] = std::move(scheduled);
    }
    out["pgkeel"] = json::object{{"version", version()}, {"position_known", facts.position_known}};
    if (facts.history_diverged) out["pgkeel"].as_object()["history_diverged"] = true;
    if (!facts.cannot_write.empty()) out["pgkeel"].as_object()["cannot_write"] = facts.cannot_write;
    return out;
}

}  // namespace pgkeel::agent::rest
