#include "cli/config_change.hpp"

#include "config/dynamic_config.hpp"
#include "config/yaml.hpp"

#include <fmt/format.h>

namespace pgkeel::cli {

namespace {
namespace json = boost::json;

constexpr std::string_view parameters_path = "postgresql.parameters.";

/// Sets, or with null removes, what a dotted path names; an object that becomes empty by it goes too.
void set_path(json::object& object, std::string_view path, const json::value& value, bool dots_are_part_of_name) {
    const auto dot = dots_are_part_of_name ? std::string_view::npos : path.find('.');
    const std::string_view key = path.substr(0, dot);
    if (dot == std::string_view::npos) {
        if (value.is_null()) {
            object.erase(key);
        } else {
            object[key] = value;
        }
        return;
    }
    json::value& inner = object[key];
    if (!inner.is_object()) inner = json::object{};
    set_path(inner.get_object(), path.substr(dot + 1), value, false);
    if (inner.get_object().empty()) object.erase(key);
}

void set_setting(json::object& config, std::string_view path, const json::value& value) {
    if (!path.starts_with(parameters_path)) return set_path(config, path, value, false);
    json::value& postgresql = config["postgresql"];
    if (!postgresql.is_object()) postgresql = json::object{};
    json::value& parameters = postgresql.get_object()["parameters"];
    if (!parameters.is_object()) parameters = json::object{};
    set_path(parameters.get_object(), path.substr(parameters_path.size()), value, true);
    if (parameters.get_object().empty()) postgresql.get_object().erase("parameters");
    if (postgresql.get_object().empty()) config.erase("postgresql");
}
}  // namespace

json::object ConfigChange::apply_to(json::object config) const {
    if (replacement) config = *replacement;
    if (patch) config::merge_patch(config, *patch);
    for (const auto& [path, value] : settings) set_setting(config, path, value);
    return config;
}

Result<std::pair<std::string, json::value>> parse_setting(const std::string& text) {
    const auto equals = text.find('=');
    const auto trimmed = [](std::string_view part) {
        const auto first = part.find_first_not_of(" \t");
        if (first == std::string_view::npos) return std::string{};
        return std::string(part.substr(first, part.find_last_not_of(" \t") - first + 1));
    };
    const std::string path =
        equals == std::string::npos ? std::string{} : trimmed(std::string_view(text).substr(0, equals));
    if (path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos)
        return fail(Errc::invalid_input, fmt::format("'{}' is not a setting", text),
                    "write it as key=value, e.g. ttl=20 or postgresql.use_pg_rewind=true");
    auto value = config::parse_yaml(text.substr(equals + 1), path);
    if (!value) return std::unexpected(value.error());
    return std::pair(path, std::move(*value));
}

Result<json::object> parse_config_text(const std::string& text, const std::string& where) {
    auto value = config::parse_yaml(text, where);
    if (!value) return std::unexpected(value.error());
    if (!value->is_object())
        return fail(Errc::invalid_input,
                    fmt::format("{} is not a configuration: it must be a mapping of keys to values", where));
    return std::move(value->get_object());
}

json::object difference(const json::object& before, const json::object& after) {
    json::object patch;
    for (const auto& [key, value] : before)
        if (!after.contains(key)) patch[key] = nullptr;
    for (const auto& [key, value] : after) {
        const json::value* old = before.if_contains(key);
        if (old == nullptr) {
            patch[key] = value;
        } else if (old->is_object() && value.is_object()) {
            if (auto inner = difference(old->get_object(), value.get_object()); !inner.empty())
                patch[key] = std::move(inner);
        } else if (*old != value) {
            patch[key] = value;
        }
    }
    return patch;
}

}  // namespace pgkeel::cli
