#include "config/dynamic_config.hpp"
#include "config/nearest.hpp"
#include "config/options.hpp"
#include "config/source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

// PATRONI_* variables as keys of the file. Which variable is which key stands in the table of options.
// See Patroni's documentation, "Environment Configuration Settings".

namespace pgkeel::config {
namespace {

constexpr std::string_view prefix = "PATRONI_";

/// What the `*` of SUPERUSER_* and of POSTGRESQL_BIN_* may be.
constexpr std::array<std::string_view, 9> connection_keys{"SSLMODE",     "SSLCERT",         "SSLKEY",
                                                          "SSLROOTCERT", "SSLCRL",          "SSLCRLDIR",
                                                          "GSSENCMODE",  "CHANNEL_BINDING", "SSLNEGOTIATION"};
constexpr std::array<std::string_view, 7> programs{"PG_CTL",   "INITDB",     "PG_CONTROLDATA", "PG_BASEBACKUP",
                                                   "POSTGRES", "PG_ISREADY", "PG_REWIND"};

struct Renamed {
    std::string_view older, newer;
};
constexpr std::array renamed{Renamed{"LOGLEVEL", "LOG_LEVEL"}, Renamed{"LOGFORMAT", "LOG_FORMAT"},
                             Renamed{"LOG_DATEFMT", "LOG_DATEFORMAT"}};

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

/// The key that variable `name` (without prefix) sets, and its option.
struct Target {
    const Option* option = nullptr;
    std::string path;
};
Target target_of(std::string_view name) {
    for (const Option& option : agent_options())
        if (!option.variable.empty() && option.variable == name)
            return {.option = &option, .path = std::string(option.path)};
    for (const Option& option : agent_options()) {
        if (!option.variable.ends_with('*')) continue;
        const auto stem = option.variable.substr(0, option.variable.size() - 1);
        if (!name.starts_with(stem)) continue;
        const auto rest = name.substr(stem.size());
        if (std::ranges::find(connection_keys, rest) == connection_keys.end() &&
            std::ranges::find(programs, rest) == programs.end())
            continue;
        return {.option = &option, .path = std::string(option.path.substr(0, option.path.size() - 1)) + lower(rest)};
    }
    return {};
}

std::string_view trimmed_front(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\n");
    return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

/// A list may come as "a, b", "[a, b]" or "- a\n- b"; a map as "a: b" or "{a: b}".
Result<json::value> value_of(const Option& option, const std::string& text, const std::string& where) {
    bool list = option.kind == Kind::list;
    const bool map = option.kind == Kind::map || option.path == "log.loggers";
    if (option.path == "log.format") list = !text.contains("%(");
    const auto front = trimmed_front(text);
    if (list && !front.starts_with('-') && !text.contains('[')) return parse_yaml("[" + text + "]", where);
    if (map && !front.starts_with('{')) return parse_yaml("{" + text + "}", where);
    if (list || map) return parse_yaml(text, where);
    return json::value(json::string(text));
}

void set(json::object& object, std::string_view path, json::value value) {
    const auto dot = path.find('.');
    if (dot == std::string_view::npos) {
        object.insert_or_assign(path, std::move(value));
        return;
    }
    json::value& inner = object[path.substr(0, dot)];
    if (!inner.is_object()) inner = json::object();
    set(inner.get_object(), path.substr(dot + 1), std::move(value));
}

void warn_if_misspelt(std::string_view name, Source& source) {
    std::vector<std::string> known;
    for (const Option& option : agent_options())
        if (!option.variable.empty() && !option.variable.ends_with('*')) known.emplace_back(option.variable);
    // A slip of the fingers, not another of Patroni's many variables.
    const auto meant = nearest(name, known);
    if (meant && edit_distance(name, *meant) <= 2)
        source.warnings.push_back(
            fmt::format("environment variable {}{} is not known (is {}{} meant?)", prefix, name, prefix, *meant));
}

}  // namespace

Result<> apply_environment(const Environment& environment, Source& source) {
    json::object patch;
    for (const auto& [variable, text] : environment) {
        if (!variable.starts_with(prefix) || text.empty()) continue;
        std::string name = variable.substr(prefix.size());
        if (name == "CONFIGURATION") continue;
        if (const auto* found = std::ranges::find(renamed, name, &Renamed::older); found != renamed.end()) {
            if (environment.contains(fmt::format("{}{}", prefix, found->newer))) continue;
            name = found->newer;
        }
        const Target target = target_of(name);
        if (target.option == nullptr) {
            warn_if_misspelt(name, source);
            continue;
        }
        const std::string where = "environment variable " + variable;
        auto value = value_of(*target.option, text, where);
        if (!value) return std::unexpected(std::move(value.error()));
        set(patch, target.path, std::move(*value));
        source.places.insert_or_assign(target.path, where);
    }
    merge_patch(source.values, patch);
    return {};
}

}  // namespace pgkeel::config
