#include "cli/handover_story.hpp"

#include <fmt/format.h>

namespace pgkeel::cli {

namespace {
bool leads(const Member& member) {
    return member.role == Role::primary || member.role == Role::standby_leader;
}

/// "streaming", or the server's state where replication has none.
const std::string& state_of(const Member& member) {
    return member.replication_state.empty() ? member.state : member.replication_state;
}
}  // namespace

HandoverStory::HandoverStory(cluster::Keys keys, const ClusterView& start) : keys_(std::move(keys)) {
    if (start.leader) old_leader_ = leader_ = start.leader->name;
    for (const Member& member : start.members) members_[member.name] = member;
}

std::vector<std::string> HandoverStory::tell(const std::vector<etcd::WatchEvent>& events) {
    std::vector<std::string> lines;
    for (const etcd::WatchEvent& event : events) {
        if (event.value.key == keys_.leader()) {
            tell_leader(event, lines);
        } else if (event.value.key == keys_.failover()) {
            tell_request(event, lines);
        } else if (event.value.key.starts_with(keys_.members())) {
            tell_member(event, lines);
        }
    }
    return lines;
}

void HandoverStory::tell_leader(const etcd::WatchEvent& event, std::vector<std::string>& lines) {
    const std::string now = event.removed ? std::string{} : event.value.value;
    if (now == leader_) return;
    if (now.empty()) {
        lines.push_back(fmt::format("the leader key is free: {} holds it no more", leader_));
    } else {
        lines.push_back(fmt::format("{} took the leader key", now));
    }
    leader_ = now;
}

void HandoverStory::tell_request(const etcd::WatchEvent& event, std::vector<std::string>& lines) {
    // Whoever has dealt with a request empties the key instead of removing it.
    const bool pending = !event.removed && event.value.value.find('"') != std::string::npos;
    if (pending == request_pending_) return;
    request_pending_ = pending;
    if (pending) request_seen_ = true;
    lines.emplace_back(pending ? "the request is in etcd: the agents know"
                               : "the request has been taken off the table");
}

void HandoverStory::tell_member(const etcd::WatchEvent& event, std::vector<std::string>& lines) {
    const std::string name = event.value.key.substr(keys_.members().size());
    if (event.removed) {
        if (members_.erase(name) != 0) lines.push_back(fmt::format("{}: its agent's key is gone", name));
        return;
    }
    const Member now = cluster::parse_member(name, event.value);
    const Member before = members_.contains(name) ? members_[name] : Member{};
    members_[name] = now;
    if (leads(now) && !leads(before)) {
        lines.push_back(now.timeline
                            ? fmt::format("{} is {} on timeline {}", name, to_string(now.role), now.timeline.id)
                            : fmt::format("{} is {}", name, to_string(now.role)));
    } else if (leads(before) && !leads(now)) {
        lines.push_back(fmt::format("{} is no longer primary: {}", name, state_of(now)));
    } else if (!state_of(now).empty() && state_of(now) != state_of(before)) {
        lines.push_back(fmt::format("{}: {}", name, state_of(now)));
    }
}

bool HandoverStory::new_leader_runs() const {
    if (!leader_changed()) return false;
    const auto found = members_.find(leader_);
    return found != members_.end() && leads(found->second) && found->second.state == "running";
}

}  // namespace pgkeel::cli
