#include "cli/rolling_plan.hpp"

#include "cli/member_table.hpp"
#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace pgkeel::cli {

namespace {

/// A standby may not have less of these than its primary had (PostgreSQL, "Hot Standby", "Administrator's Overview"):
/// an increase goes to the standbys first, a decrease to the primary.
constexpr std::string_view standby_floors[] = {"max_connections", "max_locks_per_transaction",
                                               "max_prepared_transactions", "max_wal_senders", "max_worker_processes"};

std::optional<long> number_at(const boost::json::object& reason, std::string_view key) {
    const boost::json::value* value = reason.if_contains(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_int64()) return value->get_int64();
    if (!value->is_string()) return std::nullopt;
    const boost::json::string& text = value->get_string();
    long number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// What a restart of the primary will make smaller or larger of that which standbys must not have less of.
struct FloorChanges {
    std::string decrease;  ///< "max_connections (100 to 90)"; empty: none
    bool increase = false;
};
FloorChanges floor_changes(const RollingMember& primary) {
    FloorChanges changes;
    for (const std::string_view name : standby_floors) {
        const boost::json::value* reason = primary.pending_restart_reason.if_contains(name);
        if (reason == nullptr || !reason->is_object()) continue;
        const auto before = number_at(reason->get_object(), "old_value");
        const auto after = number_at(reason->get_object(), "new_value");
        if (!before || !after) continue;
        changes.increase |= *after > *before;
        if (*after < *before)
            changes.decrease +=
                fmt::format("{}{} ({} to {})", changes.decrease.empty() ? "" : ", ", name, *before, *after);
    }
    return changes;
}

/// Why this member is not what others could lean on; empty: it is.
std::string why_unfit(const RollingMember& member, const RollingMember& leader, const ClusterSettings& settings) {
    if (!member.silence.empty()) return "its agent does not answer: " + member.silence;
    if (member.state != "running") return fmt::format("its state is '{}'", member.state);
    if (member.leads) return {};
    if (member.history_diverged) return fmt::format("its history has left that of {}", leader.name);
    if (member.timeline != leader.timeline)
        return fmt::format("it is on timeline {}, and {} on {}", member.timeline.id, leader.name, leader.timeline.id);
    // The others read the archive, or are older than Patroni 4.1 and do not say.
    const bool must_stream = !member.tags.nostream && member.replication_state != "streaming";
    if (must_stream)
        return member.replication_state.empty() ? "it does not stream"
                                                : fmt::format("it is '{}', not streaming", member.replication_state);
    const std::uint64_t lag = leader.position > member.position ? leader.position.bytes - member.position.bytes : 0;
    if (lag > settings.maximum_lag_on_failover_bytes)
        return fmt::format("it is {} behind, more than maximum_lag_on_failover ({})", human_bytes(lag),
                           human_bytes(settings.maximum_lag_on_failover_bytes));
    return {};
}

bool is_selected(const RollingMember& member, const RollingWishes& wishes) {
    const bool named = wishes.members.empty() || std::ranges::find(wishes.members, member.name) != wishes.members.end();
    return named && (!wishes.only_pending || member.pending_restart) && (!wishes.only_outdated || member.is_outdated());
}

/// What must hold before the first step, whoever is restarted.
Result<> check_cluster(const RollingCluster& cluster, const RollingWishes& wishes) {
    const auto refuse = [&](const std::string& why, std::string hint) {
        return fail(Errc::conflict,
                    fmt::format("cluster {} cannot be restarted member by member: {}", cluster.scope, why),
                    std::move(hint));
    };
    if (cluster.settings.pause) return refuse("it is paused", "run `pgkeel resume` first");
    if (cluster.leader() == nullptr) return refuse("nobody leads it", "`pgkeel why` tells why nobody was elected");
    if (!cluster.missing_slots.empty() && !wishes.missing_is_fine)
        return refuse(fmt::format("members are missing: slots are kept for {}", fmt::join(cluster.missing_slots, ", ")),
                      "start their agents; or add --ignore-missing if they are gone for good");
    if (const std::string why = why_unfit(cluster, cluster); !why.empty())
        return refuse(why, "mend that first; `pgkeel list` and `pgkeel logs` tell more");
    if (wishes.only_outdated)
        for (const RollingMember& member : cluster.members)
            if (member.running_version == 0 || member.installed_version == 0)
                return refuse(fmt::format("the agent of {} does not say which PostgreSQL is installed", member.name),
                              "leave --outdated away and name the members that need a restart");
    return {};
}

/// The primary can be left to somebody.
Result<> check_switchover(const RollingCluster& cluster, const RollingWishes& wishes) {
    const RollingMember& leader = *cluster.leader();
    const auto names = successors(cluster);
    if (!wishes.candidate.empty()) {
        const RollingMember* candidate = cluster.member(wishes.candidate);
        if (candidate == nullptr)
            return fail(Errc::not_found, fmt::format("cluster {} has no member '{}'", cluster.scope, wishes.candidate));
        if (candidate->leads)
            return fail(Errc::conflict, fmt::format("{} leads cluster {} already", wishes.candidate, cluster.scope),
                        "name a standby with --candidate, or none");
        // It may become synchronous until its turn comes.
        if (candidate->tags.nofailover || candidate->tags.failover_priority <= 0)
            return fail(Errc::conflict, fmt::format("{} has the tag nofailover", wishes.candidate),
                        "name another standby with --candidate, or none");
    } else if (names.empty()) {
        return fail(
            Errc::conflict,
            fmt::format("{} cannot be left: cluster {} has no standby that may take over", leader.name, cluster.scope),
            "add a standby, or restart the primary in place with --no-switchover: nobody can write meanwhile");
    }
    const FloorChanges changes = floor_changes(leader);
    if (!changes.decrease.empty() && !leader.standby_leader)
        return fail(Errc::conflict,
                    fmt::format("a switchover would keep what shall become smaller: {}", changes.decrease),
                    "a decrease begins at the primary: add --no-switchover");
    return {};
}
}  // namespace

const RollingMember* RollingCluster::leader() const {
    const auto found = std::ranges::find_if(members, &RollingMember::leads);
    return found == members.end() ? nullptr : &*found;
}

const RollingMember* RollingCluster::member(const std::string& name) const {
    const auto found = std::ranges::find(members, name, &RollingMember::name);
    return found == members.end() ? nullptr : &*found;
}

std::size_t RollingCluster::synchronous_count() const {
    return static_cast<std::size_t>(std::ranges::count_if(members, &RollingMember::synchronous));
}

std::string why_unfit(const RollingCluster& cluster, const RollingCluster& start) {
    for (const RollingMember& member : start.members)
        if (cluster.member(member.name) == nullptr)
            return fmt::format("{} is missing: its agent does not publish it", member.name);
    const RollingMember* leader = cluster.leader();
    if (leader == nullptr) return "nobody leads it";
    for (const RollingMember& member : cluster.members)
        if (const std::string why = why_unfit(member, *leader, cluster.settings); !why.empty())
            return fmt::format("{}: {}", member.name, why);
    if (cluster.synchronous_count() < start.synchronous_count())
        return fmt::format("{} of {} synchronous standbys are there", cluster.synchronous_count(),
                           start.synchronous_count());
    return {};
}

std::vector<std::string> successors(const RollingCluster& cluster) {
    std::vector<std::string> names;
    const RollingMember* leader = cluster.leader();
    if (leader == nullptr) return names;
    const bool only_synchronous = cluster.synchronous_count() > 0;
    for (const RollingMember& member : cluster.members) {
        const bool may = !member.leads && !member.tags.nofailover && member.tags.failover_priority > 0 &&
                         (member.synchronous || !only_synchronous);
        if (may && why_unfit(member, *leader, cluster.settings).empty()) names.push_back(member.name);
    }
    return names;
}

Result<std::vector<RollingStep>> plan_rolling_restart(const RollingCluster& cluster, const RollingWishes& wishes) {
    if (auto fit = check_cluster(cluster, wishes); !fit) return std::unexpected(fit.error());
    std::vector<RollingStep> standbys;
    // Who is synchronous hands its duty over when it goes: those who are not go first, and can take it then.
    for (const bool synchronous : {false, true})
        for (const RollingMember& member : cluster.members)
            if (!member.leads && member.synchronous == synchronous && is_selected(member, wishes))
                standbys.push_back({RollingStep::Kind::restart, member.name});
    const RollingMember& leader = *cluster.leader();
    if (!is_selected(leader, wishes)) return standbys;

    if (wishes.switchover) {
        if (auto possible = check_switchover(cluster, wishes); !possible) return std::unexpected(possible.error());
        standbys.push_back({RollingStep::Kind::switchover, leader.name});
        return standbys;
    }
    const FloorChanges changes = floor_changes(leader);
    const bool standbys_first = changes.increase || changes.decrease.empty();
    const bool standbys_last = !changes.decrease.empty();
    std::vector<RollingStep> steps;
    if (standbys_first) steps = standbys;
    steps.push_back({RollingStep::Kind::in_place, leader.name});
    if (standbys_last) steps.insert(steps.end(), standbys.begin(), standbys.end());
    return steps;
}

std::string version_text(int number) {
    return number == 0 ? "?" : fmt::format("{}.{}", number / 10000, number % 10000);
}

std::string plan_table(const RollingCluster& cluster, const std::vector<RollingStep>& steps,
                       const RollingWishes& wishes, std::size_t width) {
    Table table({{"Step", Align::right}, {"Member"}, {"Runs"}, {"Installed"}, {"What", Align::left, true}});
    const auto add = [&](std::size_t number, const std::string& name, const std::string& what) {
        const RollingMember* member = cluster.member(name);
        table.add({fmt::format("{}", number), name, member != nullptr ? version_text(member->running_version) : "",
                   member != nullptr ? version_text(member->installed_version) : "", what});
    };
    const std::string successor = wishes.candidate.empty() ? "the best standby" : wishes.candidate;
    std::size_t number = 0;
    for (const RollingStep& step : steps) {
        const bool hands_over = step.kind == RollingStep::Kind::switchover;
        add(++number, step.member,
            step.kind == RollingStep::Kind::restart ? "restart the standby"
            : hands_over                            ? fmt::format("switch over to {}", successor)
                                                    : "restart the primary: no writes meanwhile");
        if (hands_over) add(++number, step.member, "comes back as a standby");
    }
    add(++number, "all", "check that the cluster is healthy");
    return table.plain(width);
}

std::vector<std::string> members_from(const std::vector<RollingStep>& steps, std::size_t from) {
    std::vector<std::string> names;
    for (std::size_t i = from; i < steps.size(); ++i)
        if (std::ranges::find(names, steps[i].member) == names.end()) names.push_back(steps[i].member);
    return names;
}

}  // namespace pgkeel::cli
