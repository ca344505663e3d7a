#include "cluster/keys.hpp"

#include "cluster/json_reading.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace pgkeel::cluster {
namespace {

namespace json = boost::json;

std::string_view trim(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

Role parse_role(std::string_view text) {
    if (text == "primary" || text == "master" || text == "promoted") return Role::primary;
    if (text == "standby_leader") return Role::standby_leader;
    if (text == "replica") return Role::replica;
    if (text == "demoted") return Role::demoted;
    return Role::uninitialized;
}

/// Host and port of postgres://[user@]host[:port][/database][?…]; IPv6 hosts stand in brackets.
void read_conn_url(Member& member) {
    std::string_view rest = member.conn_url;
    const auto scheme = rest.find("://");
    if (scheme == std::string_view::npos) return;
    rest.remove_prefix(scheme + 3);
    rest = rest.substr(0, rest.find_first_of("/?"));
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
    std::string_view port = "5432";
    const auto bracket = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
    const auto colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        port = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
    }
    if (bracket != std::string_view::npos) rest = rest.substr(1, bracket - 1);
    member.host = rest;
    member.port = port;
}

/// Patroni's first versions stored postgres://…?application_name=API_URL instead of JSON.
void read_legacy_member(Member& member, std::string_view value) {
    constexpr std::string_view api = "application_name=";
    const auto question = value.find('?');
    member.conn_url = value.substr(0, question);
    if (question == std::string_view::npos) return;
    const std::string_view query = value.substr(question + 1);
    const auto at = query.find(api);
    if (at == std::string_view::npos) return;
    const std::string_view url = query.substr(at + api.size());
    member.api_url = url.substr(0, url.find('&'));
}

bool read_member(Member& member, const etcd::KeyValue& key) {
    const std::string& value = key.value;
    member.raw = value;
    member.lease = key.lease;
    if (value.starts_with("postgres")) {
        read_legacy_member(member, value);
        read_conn_url(member);
        return true;
    }
    const auto object = read_object(value);
    if (!object) return false;
    const json::object& in = *object;
    member.conn_url = text_of(in, "conn_url");
    read_conn_url(member);
    member.api_url = text_of(in, "api_url");
    member.state = text_of(in, "state");
    member.role = parse_role(text_of(in, "role"));
    member.version = text_of(in, "version");
    member.runs_pgkeel = !text_of(in, "pgkeel").empty();
    member.timeline = timeline_of(in, "timeline");
    member.location = lsn_of(in, "xlog_location");
    member.received = lsn_of(in, "receive_lsn");
    member.replayed = lsn_of(in, "replay_lsn");
    member.replication_state = text_of(in, "replication_state");
    // The field exists only to say that it has not happened yet.
    member.checkpoint_after_promote_pending =
        in.contains("checkpoint_after_promote") && !truth_of(in, "checkpoint_after_promote");
    member.pending_restart = truth_of(in, "pending_restart");
    member.pause = truth_of(in, "pause");
    member.tags = read_tags(object_of(in, "tags"));
    return true;
}

bool read_status(StatusKey& status, const std::string& value) {
    boost::system::error_code error;
    const json::value parsed = json::parse(value, error);
    if (error) return false;
    if (const auto number = number_of(&parsed)) {  // the whole value is a position: an old form
        status.optime = Lsn{*number};
        return true;
    }
    const json::object* in = parsed.if_object();
    if (in == nullptr) return false;
    status.optime = lsn_of(*in, "optime");
    // Both may be JSON inside a text.
    const auto inner = [&](std::string_view name) -> json::value {
        const json::value* field = in->if_contains(name);
        if (field == nullptr) return nullptr;
        if (!field->is_string()) return *field;
        boost::system::error_code inner_error;
        json::value unpacked = json::parse(field->get_string(), inner_error);
        return inner_error ? json::value(nullptr) : unpacked;
    };
    if (const json::value slots = inner("slots"); slots.is_object())
        for (const auto& slot : slots.get_object())
            if (const auto position = number_of(&slot.value())) status.slots[std::string(slot.key())] = Lsn{*position};
    if (const json::value retain = inner("retain_slots"); retain.is_array())
        for (const json::value& name : retain.get_array())
            if (name.is_string()) status.retain_slots.emplace_back(name.get_string());
    status.heartbeat = number_of(in->if_contains("hb")).value_or(0);
    status.holder = text_of(*in, "holder");
    status.ttl_seconds =
        static_cast<std::int64_t>(std::min<std::uint64_t>(number_of(in->if_contains("ttl")).value_or(0), 86400));
    if (const json::value* released = in->if_contains("released"); released != nullptr && released->is_int64())
        status.released_epoch = released->get_int64();
    if (const json::value* unfenced = in->if_contains("unfenced"); unfenced != nullptr && unfenced->is_array())
        for (const json::value& name : unfenced->get_array())
            if (name.is_string()) status.unfenced.emplace_back(name.get_string());
    return true;
}

FailoverRequest read_failover(const etcd::KeyValue& key, std::string* problem) {
    FailoverRequest request;
    request.mod_revision = key.mod_revision;
    if (const auto in = read_object(key.value)) {
        request.leader = text_of(*in, "leader");
        request.candidate = text_of(*in, "member");
        request.scheduled_at = text_of(*in, "scheduled_at");
        return request;
    }
    boost::system::error_code error;
    const json::value other = json::parse(key.value, error);
    if (!error || trim(key.value).empty() || trim(key.value).starts_with('{')) {
        const bool empty = trim(key.value).empty() || (!error && other.is_null());
        if (!empty) *problem = "it is not a JSON object";
        return request;
    }
    // leader:member, as it was before JSON.
    const std::string_view text = key.value;
    boost::system::error_code not_text;
    (void)json::parse(json::serialize(json::value(text)), not_text);
    if (not_text) {
        *problem = "it is not a text";
        return request;
    }
    const auto colon = text.find(':');
    request.leader = trim(text.substr(0, colon));
    if (colon != std::string_view::npos) {
        const std::string_view rest = text.substr(colon + 1);
        request.candidate = trim(rest.substr(0, rest.find(':')));
    }
    return request;
}

std::optional<SyncKey> read_sync(const etcd::KeyValue& key) {
    const auto in = read_object(key.value);
    if (!in) return std::nullopt;
    SyncKey sync;
    sync.mod_revision = key.mod_revision;
    sync.leader = text_of(*in, "leader");
    if (sync.leader.empty()) return sync;  // nobody is synchronous, whatever else it says
    const std::string standbys = text_of(*in, "sync_standby");
    std::set<std::string> names;
    for (std::string_view rest = standbys; !rest.empty();) {
        const auto comma = rest.find(',');
        if (const auto name = trim(rest.substr(0, comma)); !name.empty()) names.emplace(name);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    sync.members.assign(names.begin(), names.end());
    sync.quorum = static_cast<int>(std::min<std::uint64_t>(number_of(in->if_contains("quorum")).value_or(0), 1000));
    return sync;
}

bool read_history(std::vector<HistoryEntry>& history, const std::string& value) {
    boost::system::error_code error;
    const json::value parsed = json::parse(value, error);
    if (error || !parsed.is_array()) return false;
    const auto text_at = [](const json::array& line, std::size_t place) -> std::string {
        if (place >= line.size() || !line[place].is_string()) return {};
        return {line[place].get_string().data(), line[place].get_string().size()};
    };
    for (const json::value& one : parsed.get_array()) {
        const json::array* line = one.if_array();
        if (line == nullptr || line->size() < 2) return false;
        const auto timeline = number_of(&(*line)[0]);
        const auto lsn = number_of(&(*line)[1]);
        // One more than the last timeline is the one the cluster is on, so that must fit as well.
        if (!timeline || *timeline == 0 || *timeline >= UINT32_MAX || !lsn) return false;
        history.push_back({Timeline{static_cast<std::uint32_t>(*timeline)}, Lsn{*lsn}, text_at(*line, 2),
                           text_at(*line, 3), text_at(*line, 4)});
    }
    return true;
}

/// Puts JSON text into an object; what does not parse is left out.
void put_json(json::object& out, std::string_view name, const std::string& text) {
    if (text.empty()) return;
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    if (!error) out[name] = std::move(value);
}

}  // namespace

StatusKey parse_status(const etcd::KeyValue& value) {
    StatusKey status;
    status.mod_revision = value.mod_revision;
    read_status(status, value.value);
    return status;
}

Member parse_member(const std::string& name, const etcd::KeyValue& value) {
    Member member;
    member.name = name;
    read_member(member, value);
    return member;
}

ClusterView parse_view(const Keys& keys, const std::vector<etcd::KeyValue>& values, etcd::Revision revision,
                       std::vector<std::string>* problems, const ClusterView* before) {
    ClusterView view;
    view.revision = revision;
    std::optional<Lsn> legacy_optime;
    const auto complain = [&](const std::string& key, std::string_view why) {
        if (problems != nullptr) problems->push_back(fmt::format("key {} is ignored: {}", key, why));
    };
    const Keys names{};
    const std::string members = names.members();
    for (const etcd::KeyValue& value : values) {
        const std::string& key = value.key;
        if (!key.starts_with(keys.prefix)) continue;
        const std::string_view name = std::string_view(key).substr(keys.prefix.size());
        if (name == names.initialize()) {
            view.initialize = value.value;
        } else if (name == names.config()) {
            view.config_mod_revision = value.mod_revision;
            if ((before != nullptr && before->config == value.value) || read_object(value.value))
                view.config = value.value;
            else
                complain(key, "it is not a JSON object");
        } else if (name == names.leader()) {
            view.leader = LeaderKey{value.value, value.lease, value.create_revision, value.mod_revision};
            if (value.value.empty() && problems != nullptr)
                problems->push_back(fmt::format("key {} names nobody", key));
        } else if (name == names.status()) {
            view.status.mod_revision = value.mod_revision;
            if (!read_status(view.status, value.value)) complain(key, "it is not a JSON object");
        } else if (name == names.legacy_optime()) {
            const json::value text(value.value);
            if (const auto number = number_of(&text))
                legacy_optime = Lsn{*number};
            else
                complain(key, "it is not a number");
        } else if (name == names.failover()) {
            std::string problem;
            // A request that was dealt with is cleared by writing {}.
            const FailoverRequest request = read_failover(value, &problem);
            if (!request.leader.empty() || !request.candidate.empty()) view.failover = request;
            if (!problem.empty()) complain(key, problem);
        } else if (name == names.failsafe()) {
            view.failsafe_mod_revision = value.mod_revision;
            if (const auto in = read_object(value.value)) {
                view.failsafe.emplace();
                for (const auto& [member, url] : *in)
                    if (url.is_string()) (*view.failsafe)[std::string(member)] = text_of(*in, member);
            } else {
                complain(key, "it is not a JSON object");
            }
        } else if (name == names.sync()) {
            view.sync_mod_revision = value.mod_revision;
            view.sync = read_sync(value);
            if (!view.sync)
                complain(key, "it is not a JSON object; nobody can be elected until the leader writes it again");
        } else if (name == names.history()) {
            view.history_mod_revision = value.mod_revision;
            if (before != nullptr && before->has_history && before->history_mod_revision == value.mod_revision) {
                view.history = before->history;
                view.has_history = true;
                continue;
            }
            view.has_history = read_history(view.history, value.value);
            if (!view.has_history) {
                view.history.clear();
                complain(key, "it is not a list of timelines");
            }
        } else if (name.starts_with(members) && name.size() > members.size() &&
                   name.find('/', members.size()) == name.npos) {
            const std::string_view whose = name.substr(members.size());
            const Member* known = before != nullptr ? before->member(std::string(whose)) : nullptr;
            const bool was_read = known != nullptr && !known->conn_url.empty();
            if (was_read && known->lease == value.lease && known->raw == value.value) {
                view.members.push_back(*known);
                continue;
            }
            Member& member = view.members.emplace_back();
            member.name = whose;
            if (!read_member(member, value)) complain(key, "it is not a JSON object");
        }
    }
    if (view.status.mod_revision == 0 && legacy_optime) view.status.optime = *legacy_optime;
    std::ranges::sort(view.members, {}, &Member::name);
    return view;
}

std::string write_member(const MemberValue& member) {
    json::object out;
    out["conn_url"] = member.conn_url;
    out["api_url"] = member.api_url;
    out["state"] = member.state;
    out["role"] = member.role;
    out["version"] = member.version;
    if (!member.pgkeel.empty()) out["pgkeel"] = member.pgkeel;
    if (!member.proxy_url.empty()) out["proxy_url"] = member.proxy_url;
    if (!member.unix_socket.empty()) {
        out["unix_socket"] = member.unix_socket;
        out["unix_socket_id"] = member.unix_socket_id;
    }
    if (member.checkpoint_after_promote_pending) out["checkpoint_after_promote"] = false;
    put_json(out, "tags", member.tags_json);
    if (member.pending_restart) {
        out["pending_restart"] = true;
        put_json(out, "pending_restart_reason", member.pending_restart_reason_json);
    }
    if (member.with_location) {
        out["xlog_location"] = member.location.bytes;
        if (member.replayed) out["replay_lsn"] = member.replayed.bytes;
        if (member.received) out["receive_lsn"] = member.received.bytes;
        if (!member.replication_state.empty()) out["replication_state"] = member.replication_state;
        if (member.timeline) out["timeline"] = member.timeline.id;
    }
    put_json(out, "scheduled_restart", member.scheduled_restart_json);
    if (member.pause) out["pause"] = true;
    return json::serialize(out);
}

std::string write_status(const StatusKey& status) {
    json::object out;
    out["optime"] = status.optime.bytes;
    if (!status.slots.empty()) {
        json::object slots;
        for (const auto& [name, position] : status.slots) slots[name] = position.bytes;
        out["slots"] = std::move(slots);
    }
    if (!status.retain_slots.empty()) out["retain_slots"] = json::value_from(status.retain_slots);
    if (status.heartbeat != 0) out["hb"] = status.heartbeat;
    if (!status.holder.empty()) out["holder"] = status.holder;
    if (status.ttl_seconds != 0) out["ttl"] = status.ttl_seconds;
    if (status.released_epoch != 0) out["released"] = status.released_epoch;
    if (!status.unfenced.empty()) out["unfenced"] = json::array(status.unfenced.begin(), status.unfenced.end());
    return json::serialize(out);
}

std::string write_history(const std::vector<HistoryEntry>& history) {
    json::array out;
    for (const HistoryEntry& entry : history) {
        json::array line{entry.timeline.id, entry.lsn.bytes, entry.reason};
        // Columns are told apart by their place: without a time there can be no leader.
        if (!entry.at.empty()) line.emplace_back(entry.at);
        if (!entry.at.empty() && !entry.new_leader.empty()) line.emplace_back(entry.new_leader);
        out.emplace_back(std::move(line));
    }
    return json::serialize(out);
}

std::string write_failover(const FailoverRequest& request) {
    json::object out;
    if (!request.leader.empty()) out["leader"] = request.leader;
    if (!request.candidate.empty()) out["member"] = request.candidate;
    if (!request.scheduled_at.empty()) out["scheduled_at"] = request.scheduled_at;
    return json::serialize(out);
}

std::string write_failsafe(const std::map<std::string, std::string>& api_urls) {
    json::object out;
    for (const auto& [name, url] : api_urls) out[name] = url;
    return json::serialize(out);
}

std::string write_sync(const SyncKey& sync) {
    std::vector<std::string> names = sync.members;
    std::ranges::sort(names);
    json::object out;
    out["leader"] = sync.leader.empty() ? json::value(nullptr) : json::value(sync.leader);
    out["quorum"] = sync.quorum;
    out["sync_standby"] = names.empty() ? json::value(nullptr) : json::value(fmt::format("{}", fmt::join(names, ",")));
    return json::serialize(out);
}

}  // namespace pgkeel::cluster
