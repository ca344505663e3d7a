#include "agent/rest/handover.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::agent::rest {

std::string title(const HandoverAsked& asked) {
    return asked.is_switchover ? "Switchover" : "Failover";
}

std::expected<std::vector<Member>, std::string> candidates_of(const HandoverAsked& asked, const ClusterView& view,
                                                              const ClusterSettings& settings) {
    const auto is_leader = [&](const std::string& name) { return view.leader && view.leader->name == name; };
    const auto is_synchronous = [&](const std::string& name) {
        return view.sync && std::ranges::count(view.sync->members, name) != 0;
    };
    const bool by_priority = settings.synchronous_mode == SynchronousMode::on && !settings.standby_cluster;
    if (!asked.leader.empty() && !is_leader(asked.leader)) return std::unexpected("leader name does not match");
    std::vector<Member> candidates;
    if (!asked.candidate.empty()) {
        if (asked.is_switchover && by_priority && !is_synchronous(asked.candidate))
            return std::unexpected("candidate name does not match with sync_standby");
        const Member* member = view.member(asked.candidate);
        if (member == nullptr) return std::unexpected("candidate does not exists");
        candidates.push_back(*member);
        return candidates;
    }
    for (const Member& member : view.members)
        if (by_priority ? is_synchronous(member.name) : !is_leader(member.name) && !member.api_url.empty())
            candidates.push_back(member);
    if (!candidates.empty()) return candidates;
    return std::unexpected(
        fmt::format("{} is not possible: {}", asked.action(),
                    by_priority ? "can not find sync_standby" : "cluster does not have members except leader"));
}

bool anyone_fit(const std::vector<Member>& candidates, const std::vector<PeerStatus>& answers) {
    return std::ranges::any_of(answers, [&](const PeerStatus& answer) {
        const auto member = std::ranges::find(candidates, answer.name, &Member::name);
        return member != candidates.end() && answer.reachable && !answer.watchdog_failed && !answer.cannot_write &&
               !answer.tags.nofailover && !member->tags.nofailover;
    });
}

std::optional<http::Response> outcome(const HandoverAsked& asked, const std::string& leader_before,
                                      const ClusterView& view) {
    const char* verb = asked.is_switchover ? "switched" : "failed";
    if (view.leader && view.leader->name != leader_before) {
        if (asked.candidate.empty() || asked.candidate == view.leader->name)
            return text_answer(200, fmt::format(R"(Successfully {} over to "{}")", verb, view.leader->name));
        return text_answer(
            200, fmt::format(R"({} over to "{}" instead of "{}")", asked.is_switchover ? "Switched" : "Failed",
                             view.leader->name, asked.candidate));
    }
    if (!view.failover) return text_answer(503, title(asked) + " failed");
    return std::nullopt;
}

http::Response outcome_unknown(const HandoverAsked& asked, std::chrono::seconds waited) {
    return text_answer(503, fmt::format("{} status unknown after {} seconds; operation may still be in progress",
                                        title(asked), waited.count()));
}

}  // namespace pgkeel::agent::rest
