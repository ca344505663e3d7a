#include "cli/cli.hpp"
#include "cli/put.hpp"

#include "cli/commands.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace pgkeel::cli {

namespace {
constexpr const char* description =
    "pgkeel keeps PostgreSQL upright: elects a primary, replicates, fails over, heals.\n\n"
    "  pgkeel up          a three-node cluster on this machine, to try it\n"
    "  pgkeel list        who leads, who follows, how far behind\n"
    "  pgkeel agent FILE  one node of a real cluster\n"
    "  pgkeel proxy FILE  a pooler in front of PostgreSQL; reads a pgbouncer.ini too";

/// Reads the command line into `context`. An exit status: there is nothing to do any more.
///
/// CLI11's tree of all commands takes 0.6 MB, and an agent runs for months: it goes before the command begins.
std::optional<int> parse(int argc, char** argv, Context& context) {
    CLI::App app(description, "pgkeel");
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    add_agent(app, context);
    add_guardian(app, context);
    add_proxy(app, context);
    add_config(app, context);
    add_up(app, context);
    add_down(app, context);
    add_logs(app, context);
    add_psql(app, context);
    add_cluster_commands(app, context);
    if (argc < 2) {
        put("{}", app.help());
        return 2;
    }
    std::vector<char*> arguments(argv, argv + argc);
    // What follows `--` is psql's own; for every other command it means what CLI11 takes it for: no more options.
    const auto dashes = std::ranges::find(arguments, std::string_view("--"));
    if (dashes != arguments.end() && std::string_view(arguments[1]) == "psql") {
        context.passed_on.assign(dashes + 1, arguments.end());
        arguments.erase(dashes, arguments.end());
    }
    try {
        app.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& wrong) {
        std::string commands;
        for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
            at = at->get_subcommands().front();
            commands += at->get_name() + " ";
        }
        put(stderr, "pgkeel: {}\n  hint: see `pgkeel {}--help`\n", wrong.what(), commands);
        return 2;
    }
    return std::nullopt;
}

}  // namespace

int report(const Error& error) {
    put(stderr, "pgkeel: {}\n", error.text);
    if (!error.hint.empty()) put(stderr, "  hint: {}\n", error.hint);
    return error.code == Errc::invalid_input ? 2 : 1;
}

int run(int argc, char** argv) {
    Context context;
    if (const auto status = parse(argc, argv, context)) return *status;
    const int status = context.action ? context.action() : 2;
    const bool told = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    return status == 0 && !told ? 1 : status;  // `list -f json >file` on a full disk has not succeeded
}

}  // namespace pgkeel::cli
