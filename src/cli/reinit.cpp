#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/members.hpp"
#include "cli/progress.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

struct ReinitOptions : ClusterOptions {
    bool wait = false;
    bool from_leader = false;
};

std::string request_body(bool force, bool from_leader) {
    boost::json::object body;
    body["force"] = force;
    if (from_leader) body["from_leader"] = true;  // Patroni before 4 does not know it
    return boost::json::serialize(body);
}

Task<bool> start_one(Session& session, Member member, ReinitOptions options) {
    bool cancel_running = options.force;
    while (true) {
        auto answer = co_await ask_member(session, member, "POST", "/reinitialize",
                                          request_body(cancel_running, options.from_leader), 1min,
                                          fmt::format("asking {}", member.name));
        if (!answer) co_return say_failed(member, "reinit", answer.error());
        if (answer->status < 400) co_return say_done(member, text_of(*answer));
        say_failed(member, "reinit", *answer);
        if (cancel_running || !answer->body.ends_with(" already in progress")) co_return false;
        if (!ask_first(fmt::format("Cancel what {} is doing and reinitialize it anyway?", member.name), false))
            co_return false;
        cancel_running = true;
    }
}

bool runs(const Member& member) {
    return member.state == "running" || member.state == "streaming" || member.state == "in archive recovery";
}

/// Every other state ("creating replica", "stopped", "starting", …) is on the way.
bool has_failed(const Member& member) {
    return member.state.ends_with(" failed");
}

/// Follows the member's key until it runs again. A copy may take hours: there is no limit, Ctrl-C only ends the
/// watching.
Task<bool> wait_for(Session& session, Member member) {
    Progress progress(session.clock, fmt::format("{}: waiting for the copy to begin", member.name));
    const Instant begin_by = session.clock.now() + 30s;
    bool has_begun = false;
    while (true) {
        auto view = co_await session.view();
        const Member* now = view ? view->member(member.name) : nullptr;
        const bool busy = now != nullptr && !runs(*now) && !has_failed(*now);
        has_begun = has_begun || busy || (view && now == nullptr);
        progress.say(!view            ? "etcd does not answer"
                     : now == nullptr ? fmt::format("{}: its agent is silent", member.name)
                                      : fmt::format("{}: {}", member.name, now->state));
        if (now != nullptr && !busy && (has_begun || session.clock.now() > begin_by)) {
            progress.clear();
            if (runs(*now)) co_return say_done(member, "is a standby again");
            put(stderr, "{}: reinit ended in state '{}'\n  hint: see the log of its agent\n", member.name, now->state);
            co_return false;
        }
        co_await session.clock.sleep_for(200ms);
    }
}

Task<Result<int>> reinit(Session& session, ReinitOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    if (options.words.empty())
        co_return fail(Errc::invalid_input, "reinit needs the name of a member",
                       fmt::format("its data will be replaced; the standbys are {}",
                                   names_of(members_with_role(*view, "replica").value())));
    auto members = choose_members(*view, options.words, "replica");
    if (!members) co_return std::unexpected(members.error());
    if (auto yes = ask_first(fmt::format("Remove the data of {} and copy it anew?", names_of(*members)), options.force);
        !yes)
        co_return std::unexpected(yes.error());
    bool all_done = true;
    std::vector<Member> started;
    for (const Member& member : *members) {
        const bool accepted = co_await start_one(session, member, options);
        all_done = all_done && accepted;
        if (accepted) started.push_back(member);
    }
    if (!options.wait) co_return all_done ? 0 : 1;
    for (const Member& member : started) {
        const bool done = co_await wait_for(session, member);
        all_done = all_done && done;
    }
    co_return all_done ? 0 : 1;
}
}  // namespace

void add_reinit(CLI::App& app, Context& context) {
    auto options = std::make_shared<ReinitOptions>();
    CLI::App* command =
        add_cluster_command(app, "reinit", "throw a standby's data away and copy it anew from the cluster",
                            "pgkeel reinit pg-c --wait", *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] and standbys")->required();
    command->add_flag("--wait", options->wait, "come back when the standby runs again");
    command->add_flag("--from-leader", options->from_leader,
                      "copy from the leader, whatever other source is preferred");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, reinit);
}

}  // namespace pgkeel::cli
