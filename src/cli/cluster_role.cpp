#include "cli/answers.hpp"
#include "cli/ask_first.hpp"
#include "cli/progress.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cluster/admin_summary.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;
namespace json = boost::json;

struct RoleOptions : ClusterOptions {
    bool promote = false;  ///< promote-cluster and demote-cluster are one command
    std::string host, port, slot_name, restore_command;

    json::value section() const {
        if (promote) return nullptr;
        json::object remote;
        for (const auto& [key, value] : {std::pair{"host", &host},
                                         {"port", &port},
                                         {"primary_slot_name", &slot_name},
                                         {"restore_command", &restore_command}})
            if (!value->empty()) remote[key] = *value;
        return remote;
    }
    const char* done() const { return promote ? "promoted" : "demoted to a standby cluster"; }
};

bool has_become(const ClusterView& view, bool primary) {
    const Member* leader = view.leader_member();
    return leader != nullptr && leader->state == "running" &&
           leader->role == (primary ? Role::primary : Role::standby_leader);
}

/// Waits until the leader has the new role. A promotion waits for the WAL that is still to be replayed, a demotion for
/// the clients and the archive.
Task<Result<int>> wait_for_role(Session& session, bool promote) {
    const Progress progress(session.clock, promote ? "waiting until the leader takes writes"
                                                   : "waiting until the leader follows the other cluster");
    const Deadline until = session.clock.now() + 10min;
    while (session.clock.now() < until) {
        auto view = co_await session.view();
        if (view && has_become(*view, promote)) co_return 0;
        co_await session.clock.sleep_for(200ms);
    }
    co_return fail(Errc::timed_out,
                   "the configuration was changed, and the leader did not get its new role in 10 minutes",
                   "see `pgkeel why` and the leader's log");
}

Task<Result<int>> change_role(Session& session, RoleOptions options) {
    if (!options.promote && options.host.empty() && options.port.empty() && options.restore_command.empty())
        co_return fail(Errc::invalid_input, "demote-cluster needs to know what the cluster shall follow",
                       "name its primary with --host and --port, or its archive with --restore-command");
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    const Member* leader = view->leader_member();
    if (leader == nullptr)
        co_return fail(Errc::unavailable, fmt::format("cluster {} has no leader", session.scope()),
                       "see `pgkeel list`");
    const bool is_standby_cluster = cluster::summarize(*view).settings.standby_cluster;
    if (is_standby_cluster != options.promote)
        co_return fail(
            Errc::conflict,
            fmt::format("cluster {} is {}a standby cluster", session.scope(), is_standby_cluster ? "already " : "not "),
            options.promote ? "" : "change what it follows with `pgkeel edit-config`");
    const std::string question =
        options.promote
            ? fmt::format("Promote cluster {}, so that it takes writes of its own from now on?", session.scope())
            : fmt::format("Demote cluster {}, so that it takes no writes any more?", session.scope());
    if (auto yes = ask_first(question, options.force); !yes) co_return std::unexpected(yes.error());

    const std::string body = json::serialize(json::object{{"standby_cluster", options.section()}});
    auto answer =
        co_await ask_member(session, *leader, "PATCH", "/config", body, 10s, fmt::format("asking {}", leader->name));
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200) {
        say_failed(*leader, "the change of the configuration", *answer);
        co_return 1;
    }
    auto waited = co_await wait_for_role(session, options.promote);
    if (!waited) co_return waited;
    put("cluster {} is {}\n", session.scope(), options.done());
    co_return 0;
}

void add(CLI::App* command, Context& context, const std::shared_ptr<RoleOptions>& options) {
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    add_force_option(*command, options->force);
    on_chosen(command, context, options, change_role);
}
}  // namespace

void add_promote_cluster(CLI::App& app, Context& context) {
    auto options = std::make_shared<RoleOptions>();
    options->promote = true;
    add(add_cluster_command(app, "promote-cluster", "make a standby cluster take writes of its own",
                            "pgkeel promote-cluster --force", *options),
        context, options);
}

void add_demote_cluster(CLI::App& app, Context& context) {
    auto options = std::make_shared<RoleOptions>();
    CLI::App* command = add_cluster_command(
        app, "demote-cluster",
        "make the cluster follow another one: its leader becomes a standby of that one's primary",
        "pgkeel demote-cluster --host db.example.com --port 5432 --primary-slot-name second_site", *options);
    command->add_option("--host", options->host, "address of the other cluster's primary; several with commas");
    command->add_option("--port", options->port, "its port; as many as there are hosts, or one for all");
    command->add_option("--primary-slot-name", options->slot_name, "a permanent slot of the other cluster");
    command->add_option("--restore-command", options->restore_command,
                        "command that reads the other cluster's archive");
    add(command, context, options);
}

}  // namespace pgkeel::cli
