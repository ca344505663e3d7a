#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/members.hpp"
#include "cli/session.hpp"
#include "cluster/admin_summary.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
struct ReloadOptions : ClusterOptions {
    std::string role = "any";
};

Task<Result<int>> reload(Session& session, ReloadOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    auto members = choose_members(*view, options.words, options.role);
    if (!members) co_return std::unexpected(members.error());
    if (auto yes = ask_first(fmt::format("Reload the configuration of {}?", names_of(*members)), options.force); !yes)
        co_return std::unexpected(yes.error());
    const auto loop_wait = cluster::summarize(*view).settings.loop_wait;
    bool all_done = true;
    for (const Member& member : *members) {
        auto answer = co_await ask_member(session, member, "POST", "/reload", "", std::chrono::seconds(10),
                                          fmt::format("asking {}", member.name));
        const bool done =
            !answer                 ? say_failed(member, "reload", answer.error())
            : answer->status == 200 ? say_done(member, "nothing has changed")
            : answer->status == 202
                ? say_done(member, fmt::format("will reload its configuration within {} s", loop_wait.count()))
                : say_failed(member, "reload", *answer);
        all_done = all_done && done;
    }
    co_return all_done ? 0 : 1;
}
}  // namespace

void add_reload(CLI::App& app, Context& context) {
    auto options = std::make_shared<ReloadOptions>();
    CLI::App* command =
        add_cluster_command(app, "reload", "make agents read their configuration files again, and PostgreSQL its own",
                            "pgkeel reload pg-a", *options);
    command->add_option("MEMBER", options->words, "[CLUSTER] and members; all when none is named");
    command
        ->add_option("-r,--role", options->role,
                     "only members with this role: leader, primary, standby-leader, replica, any")
        ->capture_default_str();
    add_force_option(*command, options->force);
    on_chosen(command, context, options, reload);
}

}  // namespace pgkeel::cli
