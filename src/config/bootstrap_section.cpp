#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgkeel::config {
namespace {

/// The agent sets these itself.
constexpr std::array<std::string_view, 5> reserved{"pgdata", "nosync", "pwfile", "sync-only", "version"};

std::string unquoted(std::string text) {
    if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.front() == text.back())
        return text.substr(1, text.size() - 2);
    return text;
}

struct InitdbOptions {
    std::vector<std::string> arguments;
    Findings& findings;

    void add(const std::string& name, const json::value* value) {
        if (name.empty() || name.front() == '-') {
            findings.error("bootstrap.initdb", fmt::format("'{}' is no option", name),
                           "options are written without the leading --");
        } else if (std::ranges::find(reserved, name) != reserved.end()) {
            findings.warn("bootstrap.initdb", fmt::format("option {} is set by the agent itself and is ignored", name));
        } else if (value == nullptr || value->is_null() || (value->is_bool() && value->get_bool())) {
            arguments.push_back("--" + name);
        } else if (const auto text = scalar_text(*value); !text) {
            findings.error("bootstrap.initdb", fmt::format("option {} has a value that is no text", name));
        } else if (!value->is_bool()) {
            arguments.push_back(fmt::format("--{}={}", name, unquoted(*text)));
        }
    }
    void add_map(const json::object& map) {
        for (const auto& member : map) add(std::string(member.key()), &member.value());
    }
};

std::vector<std::string> read_initdb(const json::object& bootstrap, Findings& findings) {
    InitdbOptions options{.arguments = {}, .findings = findings};
    const auto* written = bootstrap.if_contains("initdb");
    if (written == nullptr || written->is_null()) return {};
    if (const auto* map = written->if_object()) {
        options.add_map(*map);
    } else if (const auto* list = written->if_array()) {
        for (const auto& element : *list) {
            if (const auto* pair = element.if_object())
                options.add_map(*pair);
            else
                options.add(scalar_text(element).value_or(""), nullptr);
        }
    } else {
        findings.error("bootstrap.initdb", "is neither a list nor a map");
    }
    return std::move(options.arguments);
}

}  // namespace

Bootstrap read_bootstrap(const View& view, Findings& findings) {
    Bootstrap out;
    const json::object section = view.object("bootstrap");
    out.dcs = view.object("bootstrap.dcs");
    if (view.has("bootstrap.dcs") && find_value(section, "dcs")->is_object() == false)
        findings.error("bootstrap.dcs", "is not a map");
    out.method = view.text("bootstrap.method");
    if (out.method != "initdb") {
        const auto* custom = section.if_contains(out.method);
        const auto* options = custom == nullptr ? nullptr : custom->if_object();
        if (options == nullptr)
            findings.error("bootstrap.method", fmt::format("'{}' has no section", out.method),
                           fmt::format("add bootstrap.{} with a command", out.method));
        else if (!options->contains("command"))
            findings.error("bootstrap." + out.method, "has no command");
        else
            out.custom = Method{.name = out.method, .options = *options};
    }
    out.initdb = read_initdb(section, findings);
    out.pg_hba = view.lines("bootstrap.pg_hba");
    out.post_bootstrap = view.text("bootstrap.post_bootstrap");
    if (out.post_bootstrap.empty()) out.post_bootstrap = view.text("bootstrap.post_init");
    if (view.has("bootstrap.users"))
        findings.warn("bootstrap.users", "is ignored: users are not created any more",
                      "create them in bootstrap.post_bootstrap");
    for (const Finding& finding : check_keys(out.dcs, dynamic_options()))
        if (!finding.unknown || !finding.hint.empty())
            findings.warn("bootstrap.dcs." + finding.path, finding.text, finding.hint);
    return out;
}

}  // namespace pgkeel::config
