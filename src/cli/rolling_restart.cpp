#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/handover.hpp"
#include "cli/member_table.hpp"
#include "cli/members.hpp"
#include "cli/progress.hpp"
#include "cli/put.hpp"
#include "cli/rolling_plan.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cluster/json_reading.hpp"
#include "cluster/peer_answer.hpp"
#include "ha/slots.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;
namespace json = boost::json;

constexpr Duration answer_patience = 5s;  // of a question that an agent answers from what it knows
constexpr Duration look_again = 300ms;

struct RollingOptions : ClusterOptions {
    RollingWishes wishes;
    bool no_switchover = false;
    bool dry_run = false;
    double step_seconds = 600;
};

// ---- what is seen

json::object pending_reason(const std::string& member_json) {
    const auto data = cluster::read_object(member_json);
    const json::object* reason = data ? cluster::object_of(*data, "pending_restart_reason") : nullptr;
    return reason != nullptr ? *reason : json::object{};
}

int version_at(const json::object& in, std::string_view name) {
    return static_cast<int>(std::min<std::uint64_t>(cluster::number_of(in.if_contains(name)).value_or(0), 999999));
}

/// Adds what the member's agent says now; its key may be as old as the agent's last tick.
void add_answer(RollingMember& member, const std::string& body) {
    const PeerStatus status = cluster::parse_peer_status(member.name, body);
    const auto object = cluster::read_object(body);
    if (!object) {
        member.silence = "its answer is no JSON object";
        return;
    }
    member.state = status.state;
    member.timeline = status.timeline;
    member.position = status.position;
    member.history_diverged = status.history_diverged;
    member.replication_state = cluster::text_of(*object, "replication_state");
    member.pending_restart = cluster::truth_of(*object, "pending_restart");
    member.started_at = cluster::text_of(*object, "postmaster_start_time");
    member.running_version = version_at(*object, "server_version");
    // Somebody else may have got the address since.
    if (status.state == "running" && !status.reachable) member.silence = "it tells no position, or is another member";
}

Task<> ask_status(Session& session, Member member, RollingMember& seen) {
    auto answer =
        co_await session.admin().call(std::move(member), "GET", "/patroni", "", session.clock.now() + answer_patience);
    if (answer)
        add_answer(seen, answer->body);
    else
        seen.silence = answer.error().text;
}

/// Patroni's agents have no such page; what they answer then holds no versions.
Task<> ask_versions(Session& session, Member member, RollingMember& seen) {
    auto answer = co_await session.admin().call(std::move(member), "GET", "/pgkeel/versions", "",
                                                session.clock.now() + answer_patience);
    const auto object = answer ? cluster::read_object(answer->body) : std::nullopt;
    const json::object* versions = object ? cluster::object_of(*object, "postgresql") : nullptr;
    if (versions != nullptr) seen.installed_version = version_at(*versions, "installed");
}

/// Slots that the leader keeps for members which it does not see any more.
std::vector<std::string> missing_slots(const ClusterView& view) {
    std::vector<std::string> missing;
    for (const std::string& slot : view.status.retain_slots)
        if (std::ranges::none_of(view.members,
                                 [&](const Member& member) { return ha::slot_name(member.name) == slot; }))
            missing.push_back(slot);
    return missing;
}

/// The cluster now: etcd says who belongs to it, the agents how they are.
Task<RollingCluster> look(Session& session, ClusterView view, bool with_versions) {
    RollingCluster cluster;
    cluster.scope = session.scope();
    cluster.settings = cluster::summarize(view).settings;
    cluster.missing_slots = missing_slots(view);
    const bool synchronous = cluster.settings.synchronous_mode != SynchronousMode::off && view.sync;
    for (const Member& member : view.members) {
        RollingMember& seen = cluster.members.emplace_back();
        seen.name = member.name;
        seen.leads = view.leader && view.leader->name == member.name;
        seen.standby_leader = member.role == Role::standby_leader;
        seen.synchronous =
            synchronous && std::ranges::find(view.sync->members, member.name) != view.sync->members.end();
        seen.pending_restart_reason = pending_reason(member.raw);
        seen.tags = member.tags;
    }
    // The leader first: its position must not be newer than those that are measured by it.
    for (const Member& member : cluster::leader_first(view)) {
        RollingMember& seen = *std::ranges::find(cluster.members, member.name, &RollingMember::name);
        co_await ask_status(session, member, seen);
        if (with_versions && seen.silence.empty()) co_await ask_versions(session, member, seen);
    }
    for (RollingMember& member : cluster.members)
        if (member.state.empty() && member.silence.empty()) member.silence = "it publishes no api_url";
    co_return cluster;
}

// ---- what is done

/// One run of the command: what it began with, and who has to lead while a step goes on.
struct Run {
    RollingOptions options;
    RollingCluster start;
    std::vector<RollingStep> steps;
    std::size_t number = 0;  ///< of the step that goes on, as people count
    std::size_t numbers = 0;
    std::string leader;

    Duration patience() const {
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.step_seconds));
    }
    void say(const std::string& member, const std::string& what) const {
        put("{}/{}  {}: {}\n", number, numbers, member, what);
        std::fflush(stdout);
    }
};

Error stopped(const std::string& why, std::string hint = {}) {
    return Error{Errc::conflict, why, std::move(hint)};
}

/// Waits until the cluster is as fit as in the beginning and `member` runs with another postmaster than `started_at`
/// names (empty: whichever). Errors: conflict — somebody else leads, or the cluster was paused; timed_out.
Task<Result<RollingCluster>> wait_until_fit(Session& session, const Run& run, std::string member,
                                            std::string started_at) {
    Progress progress(session.clock, fmt::format("waiting for {}", member));
    const Instant begin = session.clock.now();
    std::string why;
    while (true) {
        auto view = co_await session.view();
        if (view) {
            RollingCluster now = co_await look(session, *view, false);
            if (now.settings.pause) co_return std::unexpected(stopped("the cluster was paused meanwhile"));
            const RollingMember* leader = now.leader();
            if (leader != nullptr && leader->name != run.leader)
                co_return std::unexpected(stopped(
                    fmt::format("{} leads now, and no longer {}: somebody else has changed it, or a failover happened",
                                leader->name, run.leader),
                    "`pgkeel why` tells why"));
            const RollingMember* seen = now.member(member);
            why = why_unfit(now, run.start);
            if (why.empty() && seen != nullptr && seen->started_at == started_at)
                why = fmt::format("{} still runs with the server that was started at {}", member, started_at);
            if (why.empty()) co_return now;
        } else {
            why = view.error().text;
        }
        if (session.clock.now() - begin > run.patience())
            co_return fail(Errc::timed_out,
                           fmt::format("not healthy after {:.0f} s: {}", seconds(session.clock.now() - begin), why),
                           "see `pgkeel logs` and the log of PostgreSQL; --timeout gives a step more time");
        progress.say(why);
        co_await session.clock.sleep_for(look_again);
    }
}

/// POST /restart. An answer that was lost says nothing: what runs afterwards does.
Task<Result<>> ask_for_restart(Session& session, const Run& run, std::string name) {
    auto view = co_await session.view();
    if (!view) co_return std::unexpected(view.error());
    const Member* member = view->member(name);
    if (member == nullptr) co_return fail(Errc::not_found, fmt::format("{} has left the cluster", name));
    const auto answer = co_await ask_member(session, *member, "POST", "/restart", "{}", run.patience(),
                                            fmt::format("{} restarts", name));
    if (answer && answer->status != 200)
        co_return fail(Errc::process_failed,
                       fmt::format("its agent says: {} (HTTP {})", text_of(*answer), answer->status),
                       answer->status == 401 || answer->status == 403
                           ? "set restapi.authentication (or ctl.authentication) to the agents' own"
                           : "see its log");
    if (!answer && answer.error().code != Errc::timed_out && answer.error().code != Errc::maybe_done)
        co_return std::unexpected(answer.error());
    co_return Result<>{};
}

Task<Result<>> restart_member(Session& session, const Run& run, std::string name) {
    auto before = co_await wait_until_fit(session, run, name, {});
    if (!before) co_return std::unexpected(before.error());
    const std::string started_at = before->member(name)->started_at;
    const Instant begin = session.clock.now();
    if (auto asked = co_await ask_for_restart(session, run, name); !asked) co_return asked;
    auto after = co_await wait_until_fit(session, run, name, started_at);
    if (!after) co_return std::unexpected(after.error());
    run.say(name, fmt::format("restarted, healthy again after {:.1f} s", seconds(session.clock.now() - begin)));
    co_return Result<>{};
}

/// A switchover, and its old primary back as a standby. That one's server was stopped and started for it: it needs no
/// further restart.
Task<Result<>> leave_primary(Session& session, Run& run, std::string name) {
    auto before = co_await wait_until_fit(session, run, name, {});
    if (!before) co_return std::unexpected(before.error());
    const std::string started_at = before->member(name)->started_at;
    const auto names = successors(*before);
    if (names.empty()) co_return std::unexpected(stopped("no standby may take over now"));
    const std::string& candidate = run.options.wishes.candidate;
    if (!candidate.empty() && std::ranges::find(names, candidate) == names.end())
        co_return std::unexpected(stopped(fmt::format("{} may not take over now", candidate),
                                          fmt::format("those who may: {}", fmt::join(names, ", "))));
    HandoverOptions handover;
    handover.force = true;
    handover.is_step = true;
    handover.leader = name;
    handover.candidate = candidate;
    const Instant begin = session.clock.now();
    if (auto done = co_await hand_over(session, handover); !done) co_return std::unexpected(done.error());
    auto view = co_await session.view();
    if (!view) co_return std::unexpected(view.error());
    run.leader = view->leader ? view->leader->name : std::string{};
    if (run.leader.empty() || run.leader == name)
        co_return std::unexpected(stopped("nobody has taken over", "`pgkeel why` tells why"));
    run.say(name, fmt::format("handed over to {}", run.leader));
    ++run.number;
    auto after = co_await wait_until_fit(session, run, name, started_at);
    if (!after) co_return std::unexpected(after.error());
    run.say(name, fmt::format("a standby again after {:.1f} s", seconds(session.clock.now() - begin)));
    co_return Result<>{};
}

/// All is as it was, and who was restarted runs what is installed and waits for no further restart.
Task<Result<>> verify(Session& session, const Run& run) {
    auto fit = co_await wait_until_fit(session, run, run.leader, {});
    if (!fit) co_return std::unexpected(fit.error());
    auto view = co_await session.view();
    if (!view) co_return std::unexpected(view.error());
    const RollingCluster now = co_await look(session, *view, true);
    for (const std::string& name : members_from(run.steps, 0)) {
        const RollingMember* member = now.member(name);
        if (member == nullptr) co_return std::unexpected(stopped(fmt::format("{} has left the cluster", name)));
        if (member->is_outdated())
            co_return std::unexpected(
                stopped(fmt::format("{} was restarted and runs PostgreSQL {}, although {} is installed", name,
                                    version_text(member->running_version), version_text(member->installed_version)),
                        "was a package installed meanwhile? then run it again with --outdated"));
        if (member->pending_restart)
            co_return std::unexpected(stopped(fmt::format("{} still waits for a restart", name),
                                              "`pgkeel list` shows why; run it again with --pending"));
    }
    run.say("all", fmt::format("healthy: {} leads, {} standbys follow it on timeline {}", run.leader,
                               now.members.size() - 1, now.leader() != nullptr ? now.leader()->timeline.id : 0));
    put("{}", member_table(session.scope(), cluster::summarize(*view), terminal_width(), false));
    co_return Result<>{};
}

/// What was done and what was not, around what went wrong.
Error story_of_failure(const Run& run, std::size_t step, const Error& error) {
    const bool verifying = step == run.steps.size();
    auto left = members_from(run.steps, step);
    auto done = members_from(run.steps, 0);
    std::erase_if(done, [&](const std::string& name) { return std::ranges::find(left, name) != left.end(); });
    std::string text =
        fmt::format("the rolling restart of cluster {} stopped at step {} of {}{}: {}", run.start.scope, run.number,
                    run.numbers, verifying ? "" : " (" + run.steps[step].member + ")", error.text);
    text += fmt::format("\n  restarted: {}\n  not finished: {}",
                        done.empty() ? "nobody" : fmt::format("{}", fmt::join(done, ", ")),
                        left.empty() ? "nobody" : fmt::format("{}", fmt::join(left, ", ")));
    std::string hint = error.hint;
    if (!left.empty())
        hint += fmt::format("{}when that is mended, `pgkeel rolling-restart {}` does the rest",
                            hint.empty() ? "" : "; ", fmt::join(left, " "));
    return {error.code == Errc::invalid_input ? Errc::conflict : error.code, std::move(text), std::move(hint)};
}

Task<Result<int>> carry_out(Session& session, Run run) {
    for (const RollingStep& step : run.steps) run.numbers += step.kind == RollingStep::Kind::switchover ? 2 : 1;
    ++run.numbers;
    std::size_t step = 0;
    for (; step < run.steps.size(); ++step) {
        ++run.number;
        const std::string& member = run.steps[step].member;
        auto done = run.steps[step].kind == RollingStep::Kind::switchover
                        ? co_await leave_primary(session, run, member)
                        : co_await restart_member(session, run, member);
        if (!done) co_return std::unexpected(story_of_failure(run, step, done.error()));
    }
    ++run.number;
    if (auto well = co_await verify(session, run); !well)
        co_return std::unexpected(story_of_failure(run, step, well.error()));
    co_return 0;
}

std::string question_for(const Run& run) {
    const auto names = members_from(run.steps, 0);
    return fmt::format("Restart PostgreSQL of {}, one after the other?", fmt::join(names, ", "));
}

Task<Result<int>> rolling_restart(Session& session, RollingOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    if (auto known = choose_members(*view, options.words, "any"); !known) co_return std::unexpected(known.error());
    options.wishes.members = options.words;
    options.wishes.switchover = !options.no_switchover;

    Run run;
    {
        const Progress progress(session.clock, "asking the agents");
        run.start = co_await look(session, *view, true);
    }
    auto steps = plan_rolling_restart(run.start, options.wishes);
    if (!steps) co_return std::unexpected(steps.error());
    if (steps->empty()) {
        put("no member of cluster {} {}\n", session.scope(),
            options.wishes.only_outdated ? "runs an older PostgreSQL than is installed" : "waits for a restart");
        co_return 0;
    }
    run.steps = std::move(*steps);
    run.leader = run.start.leader()->name;
    run.options = std::move(options);
    put("{}", plan_table(run.start, run.steps, run.options.wishes, terminal_width()));
    std::fflush(stdout);
    if (run.options.dry_run) co_return 0;
    if (auto yes = ask_first(question_for(run), run.options.force); !yes) co_return std::unexpected(yes.error());
    co_return co_await carry_out(session, std::move(run));
}
}  // namespace

void add_rolling_restart(CLI::App& app, Context& context) {
    auto options = std::make_shared<RollingOptions>();
    CLI::App* command = add_cluster_command(
        app, "rolling-restart",
        "restart PostgreSQL of all members in a safe order: standbys, switchover, former primary, check",
        "pgkeel rolling-restart --dry-run\n  pgkeel rolling-restart --outdated --force   # after a package upgrade",
        *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] and members; all when none is named");
    command->add_flag("--pending", options->wishes.only_pending, "only where a changed parameter waits for a restart");
    command->add_flag("--outdated", options->wishes.only_outdated,
                      "only where a newer PostgreSQL is installed than the one that runs");
    auto* candidate = command->add_option("--candidate", options->wishes.candidate,
                                          "the next primary; the standby that is furthest when none is named");
    candidate->type_name("NAME");
    command
        ->add_flag("--no-switchover", options->no_switchover,
                   "restart the primary where it is: nobody can write meanwhile")
        ->excludes(candidate);
    command->add_flag("--ignore-missing", options->wishes.missing_is_fine,
                      "go on although slots are kept for members that are gone");
    command->add_option("--timeout", options->step_seconds, "seconds that a step may take until the cluster is healthy")
        ->type_name("SECONDS")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command->add_flag("--dry-run", options->dry_run, "check, show the steps, and do nothing");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, rolling_restart);
}

}  // namespace pgkeel::cli
