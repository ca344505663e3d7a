#include "cli/handover.hpp"

#include <CLI/CLI.hpp>

namespace pgkeel::cli {

void add_failover(CLI::App& app, Context& context) {
    auto options = std::make_shared<HandoverOptions>();
    options->is_failover = true;
    CLI::App* command = add_cluster_command(
        app, "failover", "make a member primary although the cluster has no healthy one: writes may be lost",
        "pgkeel failover --candidate pg-b", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    command->add_option("--candidate", options->candidate, "the next primary")->type_name("NAME");
    command->add_option("--leader,--primary,--master", options->leader, "with it this is a switchover")
        ->type_name("NAME");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, hand_over);
}

}  // namespace pgkeel::cli
