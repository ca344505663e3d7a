#include "cli/handover.hpp"

#include <CLI/CLI.hpp>

namespace pgkeel::cli {

void add_switchover(CLI::App& app, Context& context) {
    auto options = std::make_shared<HandoverOptions>();
    CLI::App* command = add_cluster_command(
        app, "switchover", "make another member primary while the present one is alive: no acknowledged write is lost",
        "pgkeel switchover --candidate pg-b\n  pgkeel switchover --scheduled 2026-11-21T03:00 --force", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    command
        ->add_option("--leader,--primary,--master", options->leader, "the present primary: refuse if it is another one")
        ->type_name("NAME");
    command
        ->add_option("--candidate", options->candidate,
                     "the next primary; the standby that is furthest when none is named")
        ->type_name("NAME");
    command
        ->add_option("--scheduled", options->scheduled,
                     "when, e.g. 2026-11-21T03:00 (local time unless it names a zone); now by default")
        ->type_name("TIME");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, hand_over);
}

}  // namespace pgkeel::cli
