#include "cli/ask_first.hpp"
#include "cli/config_change.hpp"
#include "cli/editor.hpp"
#include "cli/files.hpp"
#include "cli/output.hpp"
#include "cli/put.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cli/text_diff.hpp"
#include "config/dynamic_config.hpp"
#include "config/yaml.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace pgkeel::cli {

namespace {
struct EditOptions : ClusterOptions {
    std::vector<std::string> settings;
    std::vector<std::string> parameters;
    std::string apply_file;
    std::string replace_file;
    bool quiet = false;
};

/// What the command line asks for; empty when it names nothing and the editor is wanted.
Result<ConfigChange> requested_change(const EditOptions& options) {
    ConfigChange change;
    const auto read_file = [](const std::string& file) -> Result<boost::json::object> {
        auto text = read_text(file);
        if (!text) return std::unexpected(text.error());
        return parse_config_text(*text, file == "-" ? "standard input" : file);
    };
    if (!options.replace_file.empty()) {
        auto content = read_file(options.replace_file);
        if (!content) return std::unexpected(content.error());
        change.replacement = std::move(*content);
    }
    if (!options.apply_file.empty()) {
        auto content = read_file(options.apply_file);
        if (!content) return std::unexpected(content.error());
        change.patch = std::move(*content);
    }
    std::vector<std::string> settings = options.settings;
    for (const std::string& parameter : options.parameters) settings.push_back("postgresql.parameters." + parameter);
    for (const std::string& setting : settings) {
        auto parsed = parse_setting(setting);
        if (!parsed) return std::unexpected(parsed.error());
        change.settings.push_back(std::move(*parsed));
    }
    return change;
}

/// Lets the operator edit until the result can be stored, or gives up.
Result<ConfigChange> edited_change(const std::string& cluster, const boost::json::object& before) {
    if (auto there = need_terminal("edit-config without a change on the command line"); !there)
        return fail(Errc::invalid_input, there.error().text,
                    "name the change: -s key=value, -p parameter=value, --apply FILE or --replace FILE");
    std::string text = config::to_yaml(before);
    while (true) {
        auto edited = edit_text(text, cluster + "-config");
        if (!edited) return std::unexpected(edited.error());
        text = *edited;
        auto config = parse_config_text(text, "the edited text");
        auto checked = config ? config::validate_dynamic(*config) : Result<>(std::unexpected(config.error()));
        // A patch and not a replacement: applied to what is stored then, it keeps what others have changed meanwhile.
        if (checked) return ConfigChange{std::nullopt, difference(before, *config), {}};
        report(checked.error());
        if (!confirm("Edit it again?")) return fail(Errc::cancelled, "given up: nothing was changed");
    }
}

Task<Result<int>> edit_config(Session& session, EditOptions options) {
    auto change = requested_change(options);
    if (!change) co_return std::unexpected(change.error());
    auto view = co_await session.view_of(options.words);
    boost::json::object known;  // what the operator has seen last
    for (int attempt = 1;; ++attempt) {
        if (!view) co_return std::unexpected(view.error());
        if (!view->config)
            co_return fail(Errc::not_found, fmt::format("cluster {} has no configuration in etcd yet", session.scope()),
                           "its first agent writes it when it has bootstrapped the cluster");
        const auto stored = cluster::dynamic_config(*view);
        if (attempt > 1) {
            put(stderr, "somebody else changed the configuration meanwhile (etcd revision {}):\n{}",
                view->config_mod_revision,
                coloured_diff(unified_diff(config::to_yaml(known), config::to_yaml(stored))));
            if (change->replacement && options.force)
                co_return fail(Errc::conflict, "the configuration was not replaced, because it changed meanwhile",
                               "look at it, then run the command again");
        }
        known = stored;
        if (change->empty()) {
            change = edited_change(session.scope(), stored);
            if (!change) co_return std::unexpected(change.error());
        }
        const auto wanted = change->apply_to(stored);
        if (wanted == stored) {
            if (!options.quiet) put("Not changed\n");
            co_return 0;
        }
        if (auto valid = config::validate_dynamic(wanted); !valid) co_return std::unexpected(valid.error());
        if (!options.quiet) put("{}", coloured_diff(unified_diff(config::to_yaml(stored), config::to_yaml(wanted))));
        std::fflush(stdout);
        if (auto yes = ask_first("Apply these changes?", options.force); !yes) co_return std::unexpected(yes.error());
        auto written = co_await session.admin().put_config(boost::json::serialize(wanted), view->config_mod_revision,
                                                           session.soon());
        if (!written && written.error().code != Errc::conflict && written.error().code != Errc::maybe_done)
            co_return std::unexpected(written.error());
        if (!written) view = co_await session.view();
        // A write without an answer may have been made: what is stored now tells.
        if (written || (view && cluster::dynamic_config(*view) == wanted)) {
            put("Configuration changed\n");
            co_return 0;
        }
        if (options.force && attempt == 5)
            co_return fail(Errc::conflict,
                           "the configuration was changed by others five times in a row while it was to be written");
    }
}

Task<Result<int>> show_config(Session& session, ClusterOptions options) {
    auto format = parse_format(options.format);
    if (!format) co_return std::unexpected(format.error());
    auto view = co_await session.view_of(options.words);
    if (!view) co_return std::unexpected(view.error());
    if (!view->config)
        co_return fail(Errc::not_found, fmt::format("cluster {} has no configuration in etcd yet", session.scope()));
    put("{}", render(cluster::dynamic_config(*view), *format == Format::json ? Format::json : Format::yaml));
    co_return 0;
}
}  // namespace

void add_edit_config(CLI::App& app, Context& context) {
    auto options = std::make_shared<EditOptions>();
    CLI::App* command = add_cluster_command(
        app, "edit-config", "change the configuration that all members share",
        "pgkeel edit-config -s ttl=10 -p max_connections=200\n  pgkeel edit-config --apply changes.yml --force",
        *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    command
        ->add_option("-s,--set", options->settings,
                     "key=value; the value is YAML, null removes the key; may be repeated")
        ->expected(1)
        ->take_all();
    command->add_option("-p,--pg", options->parameters, "parameter=value of PostgreSQL; may be repeated")
        ->expected(1)
        ->take_all();
    command->add_option("--apply", options->apply_file, "merge the YAML of FILE into it (- is standard input)")
        ->type_name("FILE");
    command->add_option("--replace", options->replace_file, "replace it by the YAML of FILE (- is standard input)")
        ->type_name("FILE");
    command->add_flag("-q,--quiet", options->quiet, "do not show the changes");
    add_force_option(*command, options->force);
    on_chosen(command, context, options, edit_config);
}

void add_show_config(CLI::App& app, Context& context) {
    auto options = std::make_shared<ClusterOptions>();
    options->format = "yaml";
    CLI::App* command = add_cluster_command(app, "show-config", "show the configuration that all members share",
                                            "pgkeel show-config", *options);
    command->add_option("CLUSTER", options->words, "the configured one when none is named")->expected(0, 1);
    add_format_option(*command, options->format);
    on_chosen(command, context, options, show_config);
}

}  // namespace pgkeel::cli
