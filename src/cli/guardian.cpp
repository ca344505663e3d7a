#include "guardian/guardian.hpp"

#include "cli/commands.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace pgkeel::cli {

void add_guardian(CLI::App& app, Context& context) {
    struct Options {
        std::string data_directory;
        int agent = 0;
        std::uint64_t agent_started = 0;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("guardian", "ends PostgreSQL when its agent cannot; started by the agent, not by people");
    command->group("");  // not in --help
    command->add_option("DIRECTORY", options->data_directory, "PostgreSQL's data directory")->required();
    command->add_option("AGENT_PID", options->agent, "the agent, whose page is our standard input")->required();
    command->add_option("AGENT_STARTED", options->agent_started, "its start time, clock ticks since boot")->required();
    command->callback([options, &context] {
        context.action = [options] {
            return guardian::run(options->data_directory, options->agent, options->agent_started);
        };
    });
}

}  // namespace pgkeel::cli
