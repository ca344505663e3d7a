#include "agent/rest/cluster.hpp"

#include "cluster/json_reading.hpp"
#include "cluster/keys.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <charconv>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

const char* role_word(const Member& member, const ClusterView& view, const ClusterSettings& settings) {
    if (view.leader && view.leader->name == member.name) return settings.standby_cluster ? "standby_leader" : "leader";
    if (settings.synchronous_mode != SynchronousMode::off && view.sync && view.leader &&
        view.sync->leader == view.leader->name && std::ranges::count(view.sync->members, member.name) != 0)
        return settings.synchronous_mode == SynchronousMode::quorum ? "quorum_standby" : "sync_standby";
    return "replica";
}

void add_position(json::object& out, const std::string& which, Lsn position, Lsn leader) {
    if (!position) {
        out[which + "lsn"] = "unknown";
        out[which + "lag"] = "unknown";
    } else {
        out[which + "lsn"] = to_string(position);
        out[which + "lag"] = lag_bytes(leader, position);
    }
}

json::object member_json(const Member& member, const ClusterView& view, const ClusterSettings& settings) {
    const std::string role = role_word(member, view, settings);
    json::object out;
    out["name"] = member.name;
    out["role"] = role;
    out["state"] = role != "leader" && !member.replication_state.empty() ? member.replication_state : member.state;
    out["api_url"] = member.api_url;
    if (!member.host.empty()) {
        out["host"] = member.host;
        int port = 0;
        const auto [end, error] = std::from_chars(member.port.data(), member.port.data() + member.port.size(), port);
        if (error == std::errc{} && end == member.port.data() + member.port.size()) out["port"] = port;
    }
    // What only people read is shown as the member wrote it.
    if (const auto raw = cluster::read_object(member.raw))
        for (const char* name : {"timeline", "pending_restart", "pending_restart_reason", "scheduled_restart", "tags"})
            if (const json::value* value = raw->if_contains(name)) out[name] = *value;
    if (!view.leader || view.leader->name != member.name) {
        add_position(out, "receive_", member.received, view.status.optime);
        add_position(out, "replay_", member.replayed, view.status.optime);
        add_position(out, "", member.location, view.status.optime);
    }
    return out;
}

}  // namespace

json::object cluster_json(const ClusterView& view, const ClusterSettings& settings, const std::string& scope) {
    json::object out;
    json::array& members = out["members"].emplace_array();
    for (const Member& member : view.members) members.push_back(member_json(member, view, settings));
    if (settings.pause) out["pause"] = true;
    if (view.failover && !view.failover->scheduled_at.empty()) {
        json::object scheduled;
        scheduled["at"] = view.failover->scheduled_at;
        if (!view.failover->leader.empty()) scheduled["from"] = view.failover->leader;
        if (!view.failover->candidate.empty()) scheduled["to"] = view.failover->candidate;
        out["scheduled_switchover"] = std::move(scheduled);
    }
    out["scope"] = scope;
    return out;
}

json::array history_json(const ClusterView& view) {
    boost::system::error_code error;
    json::value history = json::parse(cluster::write_history(view.history), error);
    return !error && history.is_array() ? std::move(history.get_array()) : json::array{};
}

}  // namespace pgkeel::agent::rest
