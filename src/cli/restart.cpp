#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/member_table.hpp"
#include "cli/members.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cli/when.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <random>

namespace pgkeel::cli {

namespace {
struct RestartOptions : ClusterOptions {
    std::string role = "any";
    bool one = false;
    bool pending = false;
    std::string scheduled;
    std::string version;
    std::string timeout;
};

/// The body of POST /restart.
boost::json::object request_body(const RestartOptions& options, const std::optional<When>& when) {
    boost::json::object body;
    if (options.pending) body["restart_pending"] = true;
    if (!options.version.empty()) body["postgres_version"] = options.version;
    if (!options.timeout.empty()) body["timeout"] = options.timeout;
    if (when) body["schedule"] = when->text;
    return body;
}

std::string question_for(const std::vector<Member>& members, const RestartOptions& options,
                         const std::optional<When>& when) {
    return fmt::format("Restart PostgreSQL of {}{}{}{}?", names_of(members), when ? " at " + when->text : "",
                       options.pending ? " where a restart is pending" : "",
                       options.version.empty() ? "" : " where its version is below " + options.version);
}

/// The filters are the agents' to apply: only they know what their servers run with now. A member that a filter leaves
/// out is no failure.
bool left_out(const RestartOptions& options, const http::Response& answer) {
    return (options.pending || !options.version.empty()) && answer.status == 503 &&
           answer.body.find("conditions are not satisfied") != std::string::npos;
}

Task<bool> restart_one(Session& session, Member member, RestartOptions options, std::string body, bool scheduled,
                       bool replace_schedule) {
    if (scheduled && replace_schedule) {
        auto flushed = co_await ask_member(session, member, "DELETE", "/restart", "", std::chrono::seconds(10),
                                           "removing the old schedule");
        if (!flushed) co_return say_failed(member, "removing the old schedule", flushed.error());
    }
    // The agent answers when PostgreSQL is up again, which takes as long as its shutdown checkpoint and recovery.
    auto answer = co_await ask_member(session, member, "POST", "/restart", std::move(body), std::chrono::hours(1),
                                      fmt::format("restarting {}", member.name));
    if (!answer) co_return say_failed(member, "restart", answer.error());
    if (answer->status == 200) co_return say_done(member, "restarted");
    if (answer->status == 202) co_return say_done(member, "restart scheduled");
    if (left_out(options, *answer)) co_return say_done(member, "needs no restart");
    co_return say_failed(member, "restart", *answer);
}

Task<Result<int>> restart(Session& session, RestartOptions options) {
    auto when = parse_when(options.scheduled, session.clock.wall_now());
    if (!when) co_return std::unexpected(when.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    auto members = choose_members(*view, options.words, options.role);
    if (!members) co_return std::unexpected(members.error());
    const auto summary = cluster::summarize(*view);
    if (*when && summary.settings.pause)
        co_return fail(Errc::conflict,
                       fmt::format("cannot schedule a restart while cluster {} is paused", session.scope()),
                       "run `pgkeel resume` first, or restart now");
    if (options.one && members->size() > 1) {
        std::mt19937 random(std::random_device{}());
        std::swap(members->front(), (*members)[random() % members->size()]);
        members->resize(1);
    }
    // Standbys first: they must never have lower limits than the primary (PostgreSQL, "Administrator's Overview" of hot
    // standby).
    const auto leader = std::ranges::find(*members, view->leader ? view->leader->name : "", &Member::name);
    if (leader != members->end()) std::rotate(leader, leader + 1, members->end());
    if (!options.force) put("{}", member_table(session.scope(), summary, terminal_width(), false));
    if (auto yes = ask_first(question_for(*members, options, *when), options.force); !yes)
        co_return std::unexpected(yes.error());

    const std::string body = boost::json::serialize(request_body(options, *when));
    bool all_done = true;
    for (const Member& member : *members) {
        const bool has_schedule = member.raw.find("\"scheduled_restart\"") != std::string::npos;
        const bool done =
            co_await restart_one(session, member, options, body, when->has_value(), options.force && has_schedule);
        all_done = all_done && done;
    }
    co_return all_done ? 0 : 1;
}
}  // namespace

void add_restart(CLI::App& app, Context& context) {
    auto options = std::make_shared<RestartOptions>();
    CLI::App* command =
        add_cluster_command(app, "restart", "restart PostgreSQL of some or all members, one after the other",
                            "pgkeel restart pg-b --force\n  pgkeel restart --pending --role replica", *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] and members; all when none is named");
    command
        ->add_option("-r,--role", options->role,
                     "only members with this role: leader, primary, standby-leader, replica, any")
        ->capture_default_str();
    command->add_flag("--any", options->one, "one of them only");
    command->add_flag("--pending", options->pending, "only where a changed parameter waits for a restart");
    command->add_option("--scheduled", options->scheduled,
                        "when, e.g. 2026-11-21T03:00 (local time unless it names a zone)");
    command->add_option("--pg-version", options->version, "only where PostgreSQL is older than this, e.g. 15.20");
    command->add_option("--timeout", options->timeout,
                        "seconds after which the restart of a primary counts as failed and a standby takes over");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, restart);
}

}  // namespace pgkeel::cli
