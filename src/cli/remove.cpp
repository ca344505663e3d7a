#include "cli/ask_first.hpp"
#include "cli/member_table.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace pgkeel::cli {

namespace {
/// Three answers that cannot be given by accident, as patronictl asks them.
Result<> be_sure(const std::string& cluster, const ClusterView& view) {
    if (auto there = need_terminal("remove"); !there) return there;
    const auto expect = [](const std::string& question, const std::string& wanted) -> Result<> {
        if (ask(question) == wanted) return {};
        return fail(Errc::cancelled, "that was not it: nothing was changed");
    };
    if (auto name = expect("Name of the cluster to remove", cluster); !name) return name;
    if (auto aware = expect(fmt::format("All that etcd knows about {} will be gone; type \"Yes I am aware\"", cluster),
                            "Yes I am aware");
        !aware)
        return aware;
    if (!view.leader) return {};
    return expect(fmt::format("Cluster {} is in use; name of its leader", cluster), view.leader->name);
}

Task<Result<int>> remove(Session& session, ClusterOptions options) {
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    put("{}", member_table(session.scope(), cluster::summarize(*view), terminal_width(), false));
    std::fflush(stdout);
    if (!options.force) {
        if (auto sure = be_sure(session.scope(), *view); !sure) co_return std::unexpected(sure.error());
    }
    auto removed = co_await session.admin().remove_all(session.soon());
    if (!removed) co_return std::unexpected(removed.error());
    put("removed cluster {} from etcd; PostgreSQL and its data are untouched\n", session.scope());
    co_return 0;
}
}  // namespace

void add_remove(CLI::App& app, Context& context) {
    auto options = std::make_shared<ClusterOptions>();
    CLI::App* command = add_cluster_command(
        app, "remove", "remove what etcd holds about a cluster; agents that still run write it anew",
        "pgkeel remove demo", *options);
    command->add_option("CLUSTER", options->words, "the cluster's name")->expected(1)->required();
    add_force_option(*command, options->force);
    on_chosen(command, context, options, remove);
}

}  // namespace pgkeel::cli
