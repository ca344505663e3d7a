#include "cli/cluster_choice.hpp"
#include "cli/commands.hpp"
#include "cli/local_proxy.hpp"
#include "local/generated_files.hpp"
#include "local/plan.hpp"
#include "local/preflight.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace pgkeel::cli {

namespace {
struct PsqlFlags {
    std::string directory;
    std::string node;
    std::string listener;  ///< of the proxy
};

int run_psql(const PsqlFlags& flags, const std::vector<std::string>& passed_on) {
    const local::Layout layout{local_directory(flags.directory)};
    const auto plan = local::load_plan(layout);
    if (!plan) return report(plan.error());
    std::string service = plan->scope;
    if (!flags.listener.empty()) {
        if (const auto port = port_of_listener(plan->proxy, flags.listener); !port) return report(port.error());
        service = local::proxy_service(*plan, flags.listener);
    } else if (flags.node == "standby") {
        service += "-standby";
    } else if (!flags.node.empty()) {
        std::string names;
        for (const local::NodePlan& node : plan->nodes) names += (names.empty() ? "" : ", ") + node.name;
        if (plan->node(flags.node) == nullptr)
            return report(Error{Errc::invalid_input,
                                fmt::format("the cluster {} has no node '{}'", plan->scope, flags.node),
                                fmt::format("its nodes: {}; or standby", names)});
        service = flags.node;
    }
    const char* path = std::getenv("PATH");
    const auto programs = local::find_programs(path == nullptr ? "/usr/bin:/bin" : path);
    if (!programs) return report(programs.error());

    // What the user's shell says about other servers must not reach this one.
    for (const char* other : {"PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE",
                              "PGOPTIONS", "PGSSLMODE", "PGSSLROOTCERT", "PGTARGETSESSIONATTRS"})
        ::unsetenv(other);
    // The service file names the password file: nothing secret in arguments or environment.
    ::setenv("PGSERVICEFILE", layout.service_file().c_str(), 1);
    ::setenv("PGSERVICE", service.c_str(), 1);
    std::vector<std::string> arguments{"psql"};
    arguments.insert(arguments.end(), passed_on.begin(), passed_on.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const std::string program = programs->postgres_directory + "/psql";
    ::execv(program.c_str(), pointers.data());
    return report(Error{Errc::process_failed, fmt::format("cannot start {}: {}", program, std::strerror(errno)), ""});
}
}  // namespace

void add_psql(CLI::App& app, Context& context) {
    auto* command = app.add_subcommand("psql", "an SQL prompt on the primary, wherever it is");
    auto flags = std::make_shared<PsqlFlags>();
    auto* node = command->add_option("NODE", flags->node, "a node's name instead, or standby for any standby");
    command
        ->add_option("--proxy", flags->listener,
                     "through the proxy's listener: primary (when none is named), standby, any, pooled")
        ->expected(0, 1)
        ->default_str("primary")
        ->excludes(node);
    command->add_option("--dir", flags->directory, directory_help);
    command->footer("What follows -- is psql's.\nExample:\n  pgkeel psql -- -c 'select pg_is_in_recovery()'");
    command->callback(
        [flags, &context] { context.action = [flags, &context] { return run_psql(*flags, context.passed_on); }; });
}

}  // namespace pgkeel::cli
