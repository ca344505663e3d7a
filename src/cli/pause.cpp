#include "cli/answers.hpp"
#include "cli/progress.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cluster/admin_summary.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

struct PauseOptions : ClusterOptions {
    bool wait = false;
    bool paused = true;  ///< what to make it: pause and resume are one command
};

/// Waits until every member that has an agent has written that it knows. Returns whether all did in time.
Task<Result<bool>> wait_until_known(Session& session, ClusterView before, bool paused) {
    const Progress progress(session.clock, "waiting until every agent knows");
    const Deadline until = session.clock.now() + cluster::summarize(before).settings.loop_wait * 2 + 2s;
    while (true) {
        auto view = co_await session.view();
        if (!view) co_return std::unexpected(view.error());
        std::string missing;
        for (const Member& member : view->members)
            if (member.pause != paused && before.member(member.name) != nullptr)
                missing += (missing.empty() ? "" : ", ") + member.name;
        if (missing.empty()) co_return true;
        if (session.clock.now() >= until) {
            put(stderr, "pgkeel: {} did not take notice of it in time\n", missing);
            co_return false;
        }
        co_await session.clock.sleep_for(100ms);
    }
}

/// The view with members in it, if there are any within some seconds: after etcd was away, the agents come back to it
/// one by one.
Task<Result<ClusterView>> await_members(Session& session, ClusterView view) {
    const Progress progress(session.clock, "waiting for an agent");
    const Deadline until = session.clock.now() + 5s;
    while (view.members.empty() && session.clock.now() < until) {
        co_await session.clock.sleep_for(200ms);
        auto again = co_await session.view();
        if (!again) co_return std::unexpected(again.error());
        view = std::move(*again);
    }
    co_return view;
}

Task<Result<int>> toggle(Session& session, PauseOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    const char* word = options.paused ? "paused" : "resumed";
    if (cluster::summarize(*view).settings.pause == options.paused)
        co_return fail(Errc::conflict, fmt::format("cluster {} is {}", session.scope(),
                                                   options.paused ? "already paused" : "not paused"));
    view = co_await await_members(session, std::move(*view));
    if (!view) co_return std::unexpected(view.error());
    for (const Member& member : cluster::leader_first(*view)) {
        auto answer = co_await ask_member(session, member, "PATCH", "/config",
                                          options.paused ? R"({"pause":true})" : R"({"pause":null})", 10s,
                                          fmt::format("asking {}", member.name));
        if (!answer) {
            say_failed(member, "the request", answer.error());
            continue;
        }
        if (answer->status != 200) {
            say_failed(member, options.paused ? "pause" : "resume", *answer);
            co_return 1;
        }
        if (options.wait) {
            auto known = co_await wait_until_known(session, *view, options.paused);
            if (!known) co_return std::unexpected(known.error());
            if (!*known) co_return 1;
        }
        put("cluster {} is {}{}\n", session.scope(), word,
            options.paused ? ": nobody fails over until `pgkeel resume`" : "");
        co_return 0;
    }
    co_return fail(Errc::unavailable, fmt::format("no agent of cluster {} answers", session.scope()),
                   "are the agents running?");
}

void add(CLI::App& app, Context& context, bool paused) {
    auto options = std::make_shared<PauseOptions>();
    options->paused = paused;
    CLI::App* command =
        paused ? add_cluster_command(app, "pause",
                                     "stop automatic failover: agents go on watching and do nothing by themselves",
                                     "pgkeel pause --wait", *options)
               : add_cluster_command(app, "resume", "start automatic failover again", "pgkeel resume --wait", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    command->add_flag("--wait", options->wait, "come back when every agent knows");
    on_chosen(command, context, options, toggle);
}
}  // namespace

void add_pause(CLI::App& app, Context& context) {
    add(app, context, true);
}
void add_resume(CLI::App& app, Context& context) {
    add(app, context, false);
}

}  // namespace pgkeel::cli
