// What a node tells the cluster: its member key, the leader's status and history, its slots.
#include "agent/node.hpp"
#include "base/version.hpp"
#include "cluster/transactions.hpp"
#include "config/dynamic_config.hpp"
#include "log/log.hpp"
#include "postgres/conninfo.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace pgkeel::agent {

using namespace std::chrono_literals;
namespace json = boost::json;

bool Node::holds_lease() const {
    return keeper_.held() && out_.clock.now() < keeper_.held()->deadline();
}

bool Node::is_alive() const {
    const Duration age = out_.clock.now() - last_cycle_;
    return seen_.settings.pause || age < (seen_.server.is_primary() ? 1 : 2) * Duration(seen_.settings.ttl);
}

Role Node::role() const {
    if (seen_.server.data_directory == DataDirectory::empty) return Role::uninitialized;
    if (demoted_ && !seen_.server.running()) return Role::demoted;
    const bool standby = seen_.server.accepts_connections || seen_.server.query_failed ? seen_.server.in_recovery
                                                                                       : seen_.server.standby_signal;
    if (!standby && (seen_.server.running() || keeper_.held())) return Role::primary;
    return seen_.settings.standby_cluster && keeper_.held() ? Role::standby_leader : Role::replica;
}

std::string Node::state() const {
    if (!operation_state_.empty()) return operation_state_;
    if (seen_.server.running())
        return seen_.server.accepts_connections ? "running" : seen_.server.query_failed ? "unknown" : "starting";
    if (seen_.server.data_directory == DataDirectory::empty) return "uninitialized";
    if (seen_.server.data_directory == DataDirectory::damaged) return "start failed";
    if (seen_.start_failed || out_.clock.now() < seen_.retry_start_at) return "start failed";
    const bool crashed =
        !stopping_ && seen_.server.control && seen_.server.control->state == ControlState::in_production;
    return crashed && !seen_.settings.pause ? "crashed" : "stopped";
}

std::string Node::member_json() const {
    const ServerState& server = seen_.server;
    json::object member;
    member["conn_url"] = identity_.conn_url;
    if (!identity_.proxy_url.empty()) member["proxy_url"] = identity_.proxy_url;
    member["api_url"] = identity_.api_url;
    if (const auto url = postgres::parse_conn_url(identity_.conn_url);
        url && url->port == server.port && !server.unix_socket_id.empty()) {
        // Who shares this machine with us may go through the socket (proxy/topology_socket.hpp). Its name has the
        // server's port; under another one than the address has, others would not find it.
        member["unix_socket"] = server.unix_socket;
        member["unix_socket_id"] = server.unix_socket_id;
    }
    member["state"] = state();
    member["role"] = to_string(role());
    member["version"] = identity_.version;
    member["pgkeel"] = version();
    json::object tags = identity_.published_tags;
    if (leaving_sync_duty_) tags["nosync"] = true;
    if (!tags.empty()) member["tags"] = std::move(tags);
    const bool promoting = seen_.operation && seen_.operation->kind == ha::Operation::promote;
    if (server.accepts_connections &&
        (!seen_.operation || promoting || seen_.operation->kind == ha::Operation::follow)) {
        if (const Lsn position = server.position()) member["xlog_location"] = position.bytes;
        if (server.in_recovery) {
            // After a rewind the receiver begins at an earlier segment: what was replayed was received.
            if (const Lsn received = std::max(server.received, server.replayed)) member["receive_lsn"] = received.bytes;
            if (server.replayed) member["replay_lsn"] = server.replayed.bytes;
            if (!server.replication_state.empty()) member["replication_state"] = server.replication_state;
        }
        if (server.timeline) member["timeline"] = server.timeline.id;
    }
    if (checkpoint_pending_ && keeper_.held()) member["checkpoint_after_promote"] = false;
    if (server.pending_restart) {
        member["pending_restart"] = true;
        boost::system::error_code error;
        json::value reason = json::parse(server.pending_restart_reason_json, error);
        if (!error && reason.is_object() && !reason.get_object().empty())
            member["pending_restart_reason"] = std::move(reason);
    }
    if (scheduled_restart_) member["scheduled_restart"] = scheduled_restart_->as_given;
    if (seen_.settings.pause) member["pause"] = true;
    return json::serialize(member);
}

Task<> Node::publish_member() {
    std::string text = member_json();
    const auto lease = co_await keeper_.ensure_lease();
    if (!lease) co_return;
    const Member* shown = seen_.view->member(identity_.name);
    const bool there = shown && shown->lease == *lease && shown->raw == published_member_;
    if (there && text == published_member_ && published_lease_ == *lease) co_return;
    const auto put = co_await out_.store.commit(
        {{}, {etcd::Operation::put(keys_.member(identity_.name), text, *lease)}, {}}, out_.clock.now() + 1s);
    if (!put) {
        if (put.error().code == Errc::lease_gone) keeper_.forget_lease(*lease);
        log::warning("could not publish the member key: {}", put.error().line());
        co_return;
    }
    published_member_ = std::move(text);
    published_lease_ = *lease;
}

StatusKey Node::status_to_publish() const {
    StatusKey status;
    status.unfenced = unfenced_;
    if (!seen_.view) return status;
    status.slots = seen_.view->status.slots;
    status.retain_slots = seen_.view->status.retain_slots;
    status.optime = seen_.view->status.optime;
    const bool leads = seen_.server.is_primary() || (seen_.settings.standby_cluster && keeper_.held());
    if (!seen_.server.accepts_connections || !leads) return status;
    status.optime = seen_.server.position();
    if (!slot_memory_.led) return status;  // the plan of a new leader has not looked yet
    ha::PublishedSlots slots = ha::slots_to_publish(slot_question(), slot_memory_);
    status.slots = std::move(slots.positions);
    status.retain_slots = std::move(slots.retained);
    return status;
}

Task<> Node::update_history() {
    const Timeline timeline = seen_.server.timeline;
    auto lines = co_await out_.server.timeline_history(timeline);
    if (!lines) {
        log::warning("could not read the history of timeline {}: {}", timeline.id, lines.error().line());
        seen_.history_told = timeline;
        co_return;
    }
    std::vector<HistoryEntry> history = std::move(*lines);
    for (HistoryEntry& entry : history)
        for (const HistoryEntry& known : seen_.view->history)
            if (known.timeline == entry.timeline && known.lsn == entry.lsn) entry = known;
    std::vector<etcd::Operation> writes;
    if (!history.empty() && history.back().new_leader.empty()) {
        history.back().at = iso_time(out_.clock.wall_now());
        history.back().new_leader = identity_.name;
        if (const auto loss = account_for(history.back()))
            writes.push_back(etcd::Operation::put(cluster::lost_wal_key(keys_, *loss), cluster::write_lost_wal(*loss)));
        if (const std::uint32_t id = history.back().timeline.id; id > cluster::lost_wal_timelines_kept)
            writes.push_back(etcd::Operation::remove_all(
                cluster::lost_wal_keys(keys_, Timeline{id - cluster::lost_wal_timelines_kept})));
    }
    if (const std::uint32_t most = seen_.settings.max_timelines_history; most != 0 && history.size() > most)
        history.erase(history.begin(), history.end() - most);
    writes.push_back(etcd::Operation::put(keys_.history(), cluster::write_history(history)));
    const auto put = co_await out_.store.commit(
        {{etcd::Compare::holds(keys_.leader(), identity_.name)}, std::move(writes), {}}, out_.clock.now() + 1s);
    if (put && put->succeeded) {
        earlier_leader_ = {};  // its account is closed
        seen_.history_told = timeline;
    }
    if (!put) log::warning("could not write the key history: {}", put.error().line());
}

}  // namespace pgkeel::agent
