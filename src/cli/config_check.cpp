#include "cli/commands.hpp"
#include "cli/config_report.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace pgkeel::cli {

namespace {
struct CheckOptions {
    std::vector<std::string> files;
    std::string format = "text";
};

int check(const CheckOptions& options) {
    const auto environment = config::process_environment();
    std::vector<ConfigReport> reports;
    for (const std::string& file : options.files)
        for (ConfigReport& report : check_config_file(file, environment)) reports.push_back(std::move(report));
    if (options.format == "json") {
        boost::json::array list;
        for (const ConfigReport& report : reports) list.push_back(report.to_json());
        put("{}", render(list, Format::json));
    } else {
        for (const ConfigReport& report : reports) put("{}", report.to_text());
    }
    int status = 0;
    for (const ConfigReport& report : reports) status = std::max(status, report.exit_status());
    return status;
}
}  // namespace

void add_config(CLI::App& app, Context& context) {
    CLI::App* config = app.add_subcommand("config", "check configuration files");
    config->require_subcommand(1);
    auto options = std::make_shared<CheckOptions>();
    CLI::App* command = config->add_subcommand("check", "say what is wrong with FILE, before a start or a reload does");
    command->add_option("FILE", options->files, "a pgbouncer.ini, an agent's YAML, a proxy's, or one for both")
        ->required();
    command->add_option("-f,--format", options->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    command->footer(
        "The files that FILE names are looked at too, with the rights of who runs this.\n"
        "Exit status: 0 no errors (there may be warnings), 1 unreadable, 2 errors.\n\n"
        "Example:\n  pgkeel config check /etc/pgbouncer/pgbouncer.ini");
    command->callback([options, &context] { context.action = [options] { return check(*options); }; });
}

}  // namespace pgkeel::cli
