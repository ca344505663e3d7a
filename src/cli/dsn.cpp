#include "cli/local_proxy.hpp"
#include "cli/members.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
struct DsnOptions : ClusterOptions {
    std::string role;
    std::string member;
    std::string listener;  ///< of the local cluster's proxy
};

Task<Result<int>> dsn(Session& session, DsnOptions options) {
    if (!options.listener.empty()) {
        const auto proxy = find_local_proxy(options.choice);
        if (!proxy)
            co_return fail(Errc::not_found, "this cluster has no proxy that `pgkeel up` has made",
                           "leave --proxy away, or name a local cluster's directory with --dir");
        const auto port = port_of_listener(proxy->ports, options.listener);
        if (!port) co_return std::unexpected(port.error());
        put("host=127.0.0.1 port={}\n", *port);
        co_return 0;
    }
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    auto member = one_member(*view, options.member, options.role);
    if (!member) co_return std::unexpected(member.error());
    put("host={} port={}\n", member->host, member->port);
    co_return 0;
}
}  // namespace

void add_dsn(CLI::App& app, Context& context) {
    auto options = std::make_shared<DsnOptions>();
    CLI::App* command = add_cluster_command(app, "dsn", "print where a member's PostgreSQL listens, in libpq's words",
                                            "psql \"$(pgkeel dsn --role replica) dbname=app\"", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    auto* role = command->add_option("-r,--role", options->role, "any member with this role; leader by default");
    auto* member = command->add_option("-m,--member", options->member, "this member")->excludes(role);
    command
        ->add_option("--proxy", options->listener,
                     "a listener of the local cluster's proxy: primary (when none is named), standby, any, pooled")
        ->expected(0, 1)
        ->default_str("primary")
        ->excludes(role)
        ->excludes(member);
    on_chosen(command, context, options, dsn);
}

}  // namespace pgkeel::cli
