#include "proxy/process.hpp"

#include "cli/commands.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace pgkeel::cli {

void add_proxy(CLI::App& app, Context& context) {
    auto options = std::make_shared<proxy::Options>();
    CLI::App* command = app.add_subcommand("proxy", "run a proxy and pooler in front of PostgreSQL");
    command->add_option("FILE", options->file, "a pgbouncer.ini, or a YAML file with a section proxy")->required();
    command->add_flag("-q,--quiet", options->quiet, "do not log to standard error");
    command->add_flag("-d,--daemon", options->daemon, "go to the background; needs a pidfile and a logfile or syslog");
    command->add_flag("-R,--reboot", options->reboot, "take over from the process that runs with this FILE");
    command->add_flag("-v,--verbose", options->verbose, "log more; twice: still more");
    command->add_option("-u,--user", options->user, "become this system user; root must name one");
    command->add_option("--set", options->settings, "a setting that counts more than FILE: --set threads=4")
        ->type_name("KEY=VALUE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->set_version_flag("-V,--version", proxy::version_line());
    command->footer(
        "Example:\n  pgkeel config check /etc/pgbouncer/pgbouncer.ini\n"
        "  runuser -u postgres -- pgkeel proxy /etc/pgbouncer/pgbouncer.ini\n\n"
        "Signals: HUP reload, USR1 pause, USR2 resume, INT and TERM shut down when servers\n"
        "or clients are done, QUIT shut down at once.");
    command->callback([options, &context] { context.action = [options] { return proxy::run_process(*options); }; });
}

}  // namespace pgkeel::cli
