#include "agent/agent.hpp"

#include "cli/commands.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <memory>

namespace pgkeel::cli {

void add_agent(CLI::App& app, Context& context) {
    struct Options {
        std::string config;
        bool check = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand("agent", "run one node of a cluster: PostgreSQL and its part in elections");
    command->add_option("CONFIG", options->config, "a YAML file as Patroni reads it, or a directory of them")
        ->envname("PGKEEL_AGENT_CONFIG");
    command->add_flag("--validate-config", options->check, "say what is wrong with CONFIG, and stop");
    command->footer(
        "Without CONFIG the configuration comes from PATRONI_CONFIGURATION and the other\nPATRONI_* variables.\n\n"
        "Example:\n  runuser -u postgres -- pgkeel agent /etc/pgkeel/pg-a.yml");
    command->callback([options, &context] {
        context.action = [options] {
            return options->check ? agent::check_agent_config(options->config) : agent::run_agent(options->config);
        };
    });
}

}  // namespace pgkeel::cli
