#include "cli/rotation_plan.hpp"

#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace pgkeel::cli {

namespace {

using cluster::RotationPhase;

std::string names_where(const std::vector<RotationMember>& members, bool (*wanted)(const RotationMember&)) {
    std::vector<std::string> names;
    for (const RotationMember& member : members)
        if (wanted(member)) names.push_back(member.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

bool takes_part(const RotationCluster& cluster, const RotationMember& member) {
    return !cluster.interrupted || cluster.interrupted->phase == RotationPhase::prepare ||
           std::ranges::find(cluster.interrupted->members, member.name) != cluster.interrupted->members.end();
}

/// What must hold before the first byte is sent, whichever roles are meant.
Result<> check_cluster(const RotationCluster& cluster, const RotationWishes& wishes) {
    const auto refuse = [&](const std::string& why, std::string hint) {
        return fail(Errc::conflict,
                    fmt::format("the passwords of cluster {} cannot be rotated: {}", cluster.scope, why),
                    std::move(hint));
    };
    if (const std::string patroni =
            names_where(cluster.members, [](const RotationMember& member) { return !member.runs_pgkeel; });
        !patroni.empty())
        return refuse(fmt::format("Patroni runs {}, and reads its passwords from its configuration alone", patroni),
                      "replace these agents by pgkeel first");
    if (cluster.standby_cluster)
        return refuse("it follows another cluster, whose roles it has",
                      "rotate there; then give this cluster's agents the new passwords");
    if (cluster.paused) return refuse("it is paused", "run `pgkeel resume` first");
    if (cluster.leader.empty()) return refuse("nobody leads it", "`pgkeel why` tells why nobody was elected");
    if (!cluster.missing_slots.empty() && !wishes.missing_is_fine)
        return refuse(fmt::format("members are missing: slots are kept for {}", fmt::join(cluster.missing_slots, ", ")),
                      "start their agents; or add --ignore-missing if they are gone for good");
    for (const RotationMember& member : cluster.members) {
        if (!takes_part(cluster, member)) continue;
        if (!member.private_api)
            return refuse(
                fmt::format("the REST API of {} is plain HTTP, or its certificate is not checked", member.name),
                "set restapi.certfile and restapi.keyfile there, and ctl.cacert here (without -k)");
        if (!member.silence.empty())
            return refuse(fmt::format("the agent of {} does not answer: {}", member.name, member.silence),
                          "mend that first: it would be left with passwords that nobody takes");
        if (!member.running)
            return refuse(fmt::format("the server of {} does not run", member.name),
                          "mend that first; `pgkeel list` and `pgkeel logs` tell more");
        if (!member.trouble.empty())
            return refuse(fmt::format("{} could not keep them: {}", member.name, member.trouble), "");
    }
    for (const std::string& name : cluster.interrupted ? cluster.interrupted->members : std::vector<std::string>{})
        if (cluster.member(name) == nullptr && !wishes.missing_is_fine &&
            cluster.interrupted->phase != RotationPhase::prepare)
            return refuse(fmt::format("{} is missing in the middle of a rotation", name),
                          "start its agent; or add --ignore-missing if it is gone for good");
    return {};
}

/// The role of PostgreSQL that a section names, by section. Agents that do not agree on it cannot share a password.
Result<std::map<std::string, std::string>> roles_by_section(const RotationCluster& cluster) {
    std::map<std::string, std::string> roles;
    std::set<std::string> without_password;
    for (const RotationMember& member : cluster.members) {
        for (const RotationMember::Role& role : member.roles)
            for (const std::string& section : role.sections) {
                const auto [known, is_new] = roles.emplace(section, role.name);
                if (known->second != role.name)
                    return fail(Errc::conflict,
                                fmt::format("the agents do not agree who {} is: {} at one, {} at {}", section,
                                            known->second, role.name, member.name),
                                "give them the same postgresql.authentication");
                if (!role.has_password) without_password.insert(section);
            }
    }
    for (const std::string& section : without_password) roles.erase(section);
    for (const RotationMember& member : cluster.members)
        std::erase_if(roles, [&](const auto& one) {
            return std::ranges::none_of(member.roles,
                                        [&](const RotationMember::Role& role) { return role.name == one.second; });
        });
    return roles;
}

}  // namespace

const RotationMember* RotationCluster::member(const std::string& name) const {
    const auto found = std::ranges::find(members, name, &RotationMember::name);
    return found == members.end() ? nullptr : &*found;
}

Result<RotationPlan> plan_rotation(const RotationCluster& cluster, const RotationWishes& wishes) {
    if (auto fit = check_cluster(cluster, wishes); !fit) return std::unexpected(fit.error());
    RotationPlan plan{.roles = {}, .members = {}, .leader = cluster.leader};
    if (cluster.interrupted && cluster.interrupted->phase != RotationPhase::prepare) {
        plan.resumed = cluster.interrupted;
        plan.roles = cluster.interrupted->roles;
        for (const std::string& name : cluster.interrupted->members)
            if (cluster.member(name) != nullptr) plan.members.push_back(name);
        return plan;
    }
    const auto roles = roles_by_section(cluster);
    if (!roles) return std::unexpected(roles.error());
    for (const std::string& section : wishes.sections)
        if (!roles->contains(section))
            return fail(Errc::not_found,
                        fmt::format("not every agent of cluster {} has a password for {}", cluster.scope, section),
                        "it is in section postgresql.authentication of an agent's file");
    std::set<std::string> chosen;
    for (const auto& [section, role] : *roles)
        if (wishes.sections.empty() || std::ranges::find(wishes.sections, section) != wishes.sections.end())
            chosen.insert(role);
    if (chosen.empty())
        return fail(Errc::not_found, fmt::format("the agents of cluster {} log in without passwords", cluster.scope));
    plan.roles.assign(chosen.begin(), chosen.end());
    for (const RotationMember& member : cluster.members) plan.members.push_back(member.name);
    return plan;
}

std::string rotation_table(const RotationPlan& plan, std::size_t width) {
    Table table({{"Step", Align::right}, {"Members"}, {"What", Align::left, true}});
    const std::string all = fmt::format("{}", fmt::join(plan.members, ", "));
    const bool finishing = plan.resumed && plan.resumed->phase == RotationPhase::finish;
    if (!plan.resumed) table.add({"1", all, "keep the new passwords beside the old ones"});
    if (!finishing) {
        table.add({"2", plan.leader, "sets them on the primary"});
        table.add({"3", all, "switch to them, and prove that they work"});
    }
    table.add({"4", all, "forget the old ones"});
    return table.plain(width);
}

}  // namespace pgkeel::cli
