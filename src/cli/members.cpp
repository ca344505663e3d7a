#include "cli/members.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace pgkeel::cli {

Result<std::vector<Member>> members_with_role(const ClusterView& view, const std::string& role) {
    const Member* leader = view.leader_member();
    std::vector<Member> members;
    const auto leader_if = [&](bool fits) {
        if (leader != nullptr && fits) members.push_back(*leader);
    };
    if (role == "leader") {
        leader_if(true);
    } else if (role == "primary" || role == "master") {
        leader_if(leader != nullptr && leader->role != Role::standby_leader);
    } else if (role == "standby-leader" || role == "standby_leader") {
        leader_if(leader != nullptr && leader->role == Role::standby_leader);
    } else if (role == "replica" || role == "standby") {
        std::ranges::copy_if(view.members, std::back_inserter(members),
                             [&](const Member& member) { return !view.leader || view.leader->name != member.name; });
    } else if (role == "any" || role.empty()) {
        members = view.members;
    } else {
        return fail(Errc::invalid_input, fmt::format("no role '{}'", role),
                    "use leader, primary, standby-leader, replica or any");
    }
    return members;
}

Result<std::vector<Member>> choose_members(const ClusterView& view, const std::vector<std::string>& names,
                                           const std::string& role) {
    auto with_role = members_with_role(view, role);
    if (!with_role) return with_role;
    if (names.empty()) {
        if (with_role->empty())
            return fail(Errc::not_found,
                        fmt::format("the cluster has no member with the role {}", role.empty() ? "any" : role));
        return with_role;
    }
    for (const std::string& name : names) {
        if (view.member(name) == nullptr)
            return fail(Errc::not_found, fmt::format("the cluster has no member '{}'", name),
                        fmt::format("its members are {}", names_of(view.members)));
        if (std::ranges::find(*with_role, name, &Member::name) == with_role->end())
            return fail(Errc::not_found, fmt::format("member {} does not have the role {}", name, role));
    }
    std::erase_if(*with_role,
                  [&](const Member& member) { return std::ranges::find(names, member.name) == names.end(); });
    return with_role;
}

Result<Member> one_member(const ClusterView& view, const std::string& name, const std::string& role) {
    const std::vector<std::string> names = name.empty() ? std::vector<std::string>{} : std::vector{name};
    auto members = choose_members(view, names, !name.empty() ? "any" : role.empty() ? "leader" : role);
    if (!members) return std::unexpected(members.error());
    return members->front();
}

std::string names_of(const std::vector<Member>& members) {
    std::vector<std::string> names;
    std::ranges::transform(members, std::back_inserter(names), &Member::name);
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace pgkeel::cli
