#include "postgres/guc.hpp"

#include "config/dynamic_config.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace pgkeel::postgres {
namespace {

constexpr Guc guc_table[] = {
#include "postgres/guc_table.inc"
};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string_view trimmed(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

/// As PostgreSQL reads a boolean: any beginning of a word that is not ambiguous.
std::optional<bool> guc_bool(std::string_view value) {
    const std::string text = lower(trimmed(value));
    if (text.empty()) return {};
    for (const auto& [word, length_min, meaning] : {std::tuple{"true", 1U, true},
                                                    {"false", 1U, false},
                                                    {"yes", 1U, true},
                                                    {"no", 1U, false},
                                                    {"on", 2U, true},
                                                    {"off", 2U, false},
                                                    {"1", 1U, true},
                                                    {"0", 1U, false}})
        if (text.size() >= length_min && std::string_view(word).starts_with(text)) return meaning;
    return {};
}

bool has_value(const Guc& guc, std::string_view value) {
    std::string_view left = guc.values;
    while (true) {
        const auto bar = left.find('|');
        if (left.substr(0, bar) == value) return true;
        if (bar == std::string_view::npos) return false;
        left.remove_prefix(bar + 1);
    }
}

/// The value of an enumeration as PostgreSQL shows it.
std::string shown_value(const Guc& guc, std::string_view value) {
    const std::string text = lower(trimmed(value));
    if (guc.name == "wal_level" && (text == "hot_standby" || text == "archive")) return "replica";
    if (text == "debug") return "debug2";
    if (const auto boolean = guc_bool(text); boolean && has_value(guc, "on")) {
        if (guc.name == "wal_compression" && *boolean) return "pglz";
        return *boolean ? "on" : "off";
    }
    return text;
}

/// PostgreSQL reads "identifier.identifier" in a configuration file and stops the start at anything else.
bool is_custom_name(std::string_view name) {
    const auto is_identifier = [](std::string_view part) {
        if (part.empty() || (part.front() >= '0' && part.front() <= '9') || part.front() == '$') return false;
        return std::ranges::all_of(part, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
        });
    };
    const auto dot = name.find('.');
    return dot != std::string_view::npos && is_identifier(name.substr(0, dot)) && is_identifier(name.substr(dot + 1));
}

std::string shortest(double number) {
    return number == std::floor(number) && std::abs(number) < 1e15 ? fmt::format("{:.0f}", number)
                                                                   : fmt::format("{}", number);
}

std::optional<double> number_of(const Guc& guc, std::string_view text) {
    auto number = config::parse_with_unit(text, guc.unit);
    if (number && guc.type == GucType::integer) number = std::round(*number);
    return number;
}

}  // namespace

const Guc* find_guc(std::string_view name) {
    const std::string wanted = lower(name);
    for (const Guc& guc : guc_table)
        if (guc.name.size() == wanted.size() && lower(guc.name) == wanted) return &guc;
    return nullptr;
}

std::string guc_text(const json::value& value) {
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_bool()) return value.get_bool() ? "on" : "off";
    if (value.is_null()) return {};
    if (value.is_double()) return shortest(value.get_double());
    return json::serialize(value);
}

std::optional<std::string> valid_guc(std::string_view name, std::string_view value,
                                     std::vector<std::string>& warnings) {
    const auto drop = [&](std::string why) -> std::optional<std::string> {
        warnings.push_back(std::move(why));
        return {};
    };
    // A zero byte would end the text for the server, and what follows would be lost without a word.
    if (value.find('\0') != std::string_view::npos)
        return drop(fmt::format("parameter {} has a zero byte, dropped", name));
    const Guc* guc = find_guc(name);
    if (guc == nullptr) {
        if (is_custom_name(name)) return std::string(value);
        return drop(fmt::format("parameter {} is not known to PostgreSQL 15, dropped", name));
    }
    if (guc->context == GucContext::internal)
        return drop(fmt::format("parameter {} cannot be set, dropped", guc->name));
    switch (guc->type) {
        case GucType::text:
            return std::string(value);
        case GucType::boolean:
            if (guc_bool(value)) return std::string(trimmed(value));
            return drop(fmt::format("parameter {}: {} is not a boolean, dropped", guc->name, value));
        case GucType::enumeration: {
            const std::string text = lower(trimmed(value));
            std::string_view left = guc->values;
            while (!left.empty()) {
                const std::string_view one = left.substr(0, left.find('|'));
                left.remove_prefix(std::min(one.size() + 1, left.size()));
                if (lower(one) == text) return std::string(one);
            }
            if (text == lower(guc->boot)) return std::string(guc->boot);
            return drop(fmt::format("parameter {}: {} is none of {}, dropped", guc->name, value, guc->values));
        }
        case GucType::integer:
        case GucType::real:
            break;
    }
    const auto number = number_of(*guc, trimmed(value));
    if (!number)
        return drop(fmt::format("parameter {}: {} is not a number{}{}, dropped", guc->name, value,
                                guc->unit.empty() ? "" : " in ", guc->unit));
    if (*number >= guc->min && *number <= guc->max) return std::string(trimmed(value));
    const double clamped = std::clamp(*number, guc->min, guc->max);
    warnings.push_back(fmt::format("parameter {}: {} is outside {} to {}{}, set to {}", guc->name, value,
                                   shortest(guc->min), shortest(guc->max), guc->unit, shortest(clamped)));
    return shortest(clamped);
}

bool same_guc(const Guc& guc, std::string_view a, std::string_view b) {
    if (a == b) return true;
    switch (guc.type) {
        case GucType::text:
            return false;
        case GucType::boolean: {
            const auto left = guc_bool(a), right = guc_bool(b);
            return left && right && *left == *right;
        }
        case GucType::enumeration:
            return shown_value(guc, a) == shown_value(guc, b);
        case GucType::integer:
        case GucType::real:
            break;
    }
    const auto left = number_of(guc, trimmed(a)), right = number_of(guc, trimmed(b));
    return left && right && std::abs(*left - *right) <= 1e-9 * std::max({1.0, std::abs(*left), std::abs(*right)});
}

bool guc_runs_code(std::string_view name) {
    static constexpr std::string_view names[] = {
        "archive_cleanup_command",  "archive_command",        "archive_library",
        "dynamic_library_path",     "jit_provider",           "local_preload_libraries",
        "recovery_end_command",     "restore_command",        "session_preload_libraries",
        "shared_preload_libraries", "ssl_passphrase_command",
    };
    return std::ranges::find(names, lower(name)) != std::end(names);
}

std::string quote_guc(std::string_view value) {
    std::string quoted = "'";
    for (const char c : value) {
        switch (c) {
            case '\'':
                quoted += "''";
                break;
            case '\\':
                quoted += "\\\\";
                break;
            case '\n':
                quoted += "\\n";
                break;  // a line end inside quotes is a syntax error
            case '\r':
                quoted += "\\r";
                break;
            default:
                quoted += c;
        }
    }
    return quoted + "'";
}

}  // namespace pgkeel::postgres
