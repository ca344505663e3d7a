#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/members.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

struct FlushOptions : ClusterOptions {
    std::string role = "any";
};

Task<Result<int>> flush_restarts(Session& session, FlushOptions options, ClusterView view) {
    auto members = choose_members(view, options.words, options.role);
    if (!members) co_return std::unexpected(members.error());
    if (auto yes = ask_first(fmt::format("Discard scheduled restarts of {}?", names_of(*members)), options.force); !yes)
        co_return std::unexpected(yes.error());
    bool all_done = true;
    for (const Member& member : *members) {
        if (member.raw.find("\"scheduled_restart\"") == std::string::npos) {
            say_done(member, "no restart is scheduled");
            continue;
        }
        auto answer =
            co_await ask_member(session, member, "DELETE", "/restart", "", 10s, fmt::format("asking {}", member.name));
        const bool done = !answer                 ? say_failed(member, "flush", answer.error())
                          : answer->status >= 400 ? say_failed(member, "flush", *answer)
                                                  : say_done(member, text_of(*answer));
        all_done = all_done && done;
    }
    co_return all_done ? 0 : 1;
}

Task<Result<int>> flush_switchover(Session& session, ClusterView view) {
    if (!view.failover || view.failover->scheduled_at.empty()) {
        put("no switchover is scheduled\n");
        co_return 0;
    }
    for (const Member& member : cluster::leader_first(view)) {
        auto answer = co_await ask_member(session, member, "DELETE", "/switchover", "", 10s,
                                          fmt::format("asking {}", member.name));
        if (answer && (answer->status == 200 || answer->status == 404)) {
            say_done(member, text_of(*answer));
            co_return answer->status == 200 ? 0 : 1;
        }
        answer ? say_failed(member, "flush", *answer) : say_failed(member, "flush", answer.error());
    }
    // No agent answers: the key itself says what is scheduled, and an empty one says nothing.
    auto written = co_await session.admin().put_request(FailoverRequest{}, session.soon());
    if (!written) co_return std::unexpected(written.error());
    put("scheduled switchover removed from etcd\n");
    co_return 0;
}

Task<Result<int>> flush(Session& session, FlushOptions options) {
    const std::string what = options.words.empty() ? std::string{} : options.words.back();
    if (what != "restart" && what != "switchover")
        co_return fail(Errc::invalid_input, "flush needs to know what to discard",
                       "the last word is restart or switchover, e.g. `pgkeel flush switchover`");
    options.words.pop_back();
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    if (what == "restart") co_return co_await flush_restarts(session, options, *view);
    co_return co_await flush_switchover(session, *view);
}
}  // namespace

void add_flush(CLI::App& app, Context& context) {
    auto options = std::make_shared<FlushOptions>();
    CLI::App* command =
        add_cluster_command(app, "flush", "discard what is scheduled: restarts of members, or a switchover",
                            "pgkeel flush switchover\n  pgkeel flush pg-b restart", *options);
    command->add_option("WHAT", options->words, "[CLUSTER] [MEMBER...] restart|switchover")->required();
    command->add_option("-r,--role", options->role, "only members with this role")->capture_default_str();
    add_force_option(*command, options->force);
    on_chosen(command, context, options, flush);
}

}  // namespace pgkeel::cli
