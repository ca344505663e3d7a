#include "cluster/admin_summary.hpp"

#include "cluster/admin.hpp"
#include "config/dynamic_config.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <set>

namespace pgkeel::cluster {

namespace {
namespace json = boost::json;

json::object parse_object(const std::string& text) {
    boost::system::error_code problem;
    auto value = json::parse(text, problem);
    if (problem || !value.is_object()) return {};
    return std::move(value.get_object());
}

json::object object_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : json::object{};
}

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

Standing standing_of(const Member& member, const ClusterView& view, const ClusterSettings& settings) {
    if (view.leader && view.leader->name == member.name)
        return settings.standby_cluster ? Standing::standby_leader : Standing::leader;
    const bool sync_is_true = view.sync && view.leader && view.sync->leader == view.leader->name;
    if (!sync_is_true || std::ranges::find(view.sync->members, member.name) == view.sync->members.end())
        return Standing::replica;
    return settings.synchronous_mode == SynchronousMode::quorum ? Standing::quorum_standby : Standing::sync_standby;
}

std::string describe_scheduled_restart(const json::object& data) {
    const json::object restart = object_at(data, "scheduled_restart");
    std::string text = text_at(restart, "schedule");
    const std::string version = text_at(restart, "postgres_version");
    if (!text.empty() && !version.empty()) text += " if version < " + version;
    return text;
}

MemberSummary summarize(const Member& member, const ClusterView& view, const ClusterSettings& settings) {
    const json::object data = parse_object(member.raw);
    MemberSummary summary;
    summary.name = member.name;
    summary.host = member.host;
    summary.port = member.port;
    summary.standing = standing_of(member, view, settings);
    summary.state = member.state;
    summary.timeline = member.timeline;
    summary.pending_restart = member.pending_restart;
    summary.pending_restart_reason = object_at(data, "pending_restart_reason");
    summary.scheduled_restart = describe_scheduled_restart(data);
    summary.tags = object_at(data, "tags");
    if (summary.leads()) return summary;

    if (!member.replication_state.empty()) summary.state = member.replication_state;
    const auto behind = [&](Lsn lsn) { return Position{lsn, lsn ? lag_bytes(view.status.optime, lsn) : 0}; };
    summary.any = behind(member.location);
    summary.received = behind(member.received);
    summary.replayed = behind(member.replayed);
    // Patroni before 4.1 publishes one position only: it is the received one while streaming, else the replayed one.
    if (!member.received && !member.replayed)
        (summary.state == "streaming" ? summary.received : summary.replayed) = summary.any;
    return summary;
}

void add_children(const ClusterSummary& summary, const std::string& parent, int depth, std::vector<TreeEntry>& tree,
                  std::set<std::string>& placed) {
    const MemberSummary* leader = summary.leader();
    for (const MemberSummary& member : summary.members) {
        if (member.leads() || placed.contains(member.name)) continue;
        const std::string wanted = text_at(member.tags, "replicatefrom");
        const bool wanted_exists =
            wanted != member.name && std::ranges::any_of(summary.members, [&](const MemberSummary& other) {
                return other.name == wanted && !other.leads();
            });
        const std::string source = wanted_exists ? wanted : leader != nullptr ? leader->name : std::string{};
        if (source != parent) continue;
        placed.insert(member.name);
        tree.push_back({&member, depth});
        add_children(summary, member.name, depth + 1, tree, placed);
    }
}
}  // namespace

const MemberSummary* ClusterSummary::leader() const {
    const auto found = std::ranges::find_if(members, &MemberSummary::leads);
    return found == members.end() ? nullptr : &*found;
}

ClusterSummary summarize(const ClusterView& view) {
    ClusterSummary summary;
    summary.system_identifier = !view.initialize           ? "uninitialized"
                                : view.initialize->empty() ? "initializing"
                                                           : *view.initialize;
    std::vector<std::string> warnings;  // about values that the agents complain about themselves
    summary.settings = config::settings_of(dynamic_config(view), false, warnings);
    for (const Member& member : view.members) summary.members.push_back(summarize(member, view, summary.settings));
    if (view.failover && !view.failover->scheduled_at.empty()) summary.scheduled = view.failover;
    return summary;
}

std::vector<TreeEntry> replication_tree(const ClusterSummary& summary) {
    std::vector<TreeEntry> tree;
    std::set<std::string> placed;
    const MemberSummary* leader = summary.leader();
    if (leader != nullptr) tree.push_back({leader, 0});
    add_children(summary, leader != nullptr ? leader->name : std::string{}, leader != nullptr ? 1 : 0, tree, placed);
    // Standbys that name each other as their source hang on nobody; they are shown all the same.
    for (const MemberSummary& member : summary.members)
        if (!member.leads() && !placed.contains(member.name)) tree.push_back({&member, 0});
    return tree;
}

}  // namespace pgkeel::cluster
