#include "config/options.hpp"

#include "config/address.hpp"
#include "config/dynamic_config.hpp"
#include "config/nearest.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pgkeel::config {
namespace {

constexpr std::size_t shown_max = 60;  ///< characters of a wrong value that a message repeats

/// Lists and maps are not repeated: pg_hba.conf and primary_conninfo may hold passwords, and so may whatever looks like
/// a URL.
std::string shown(const Option& option, const json::value& value) {
    if (option.secret) return "the value";
    if (value.is_array()) return "a list";
    if (value.is_object()) return "a map";
    std::string text = json::serialize(value);
    if (text.contains('@') || text.contains("password")) return "the value";
    if (text.size() > shown_max) text = text.substr(0, shown_max) + "…";
    return text;
}

bool is_choice(const Option& option, const json::value& value) {
    std::string_view choices = option.choices;
    std::string word;
    if (value.is_string()) word = std::string(value.get_string());
    // `synchronous_mode: on` comes as a boolean.
    if (const auto flag = parse_bool(value); flag && choices.contains("off")) word = *flag ? "on" : "off";
    const auto same = [&](std::string_view choice) {
        return std::ranges::equal(choice, word, [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
        });
    };
    while (!choices.empty()) {
        const auto blank = std::min(choices.find(' '), choices.size());
        if (same(choices.substr(0, blank))) return true;
        choices.remove_prefix(std::min(blank + 1, choices.size()));
    }
    return false;
}

Result<> check_integer(const Option& option, const json::value& value) {
    const auto number = whole_number(value, option.unit);
    if (!number)
        return fail(Errc::invalid_input, fmt::format("{} is no whole number", shown(option, value)),
                    option.unit.empty()
                        ? ""
                        : fmt::format("write it in {}, or with a unit", option.unit == "s" ? "seconds" : "bytes"));
    if (*number < option.minimum || *number > option.maximum)
        return fail(Errc::invalid_input, option.maximum >= 2147483647
                                             ? fmt::format("{} is less than {}", shown(option, value), option.minimum)
                                             : fmt::format("{} is not between {} and {}", shown(option, value),
                                                           option.minimum, option.maximum));
    return {};
}

/// The part of `path` behind `prefix.` up to the next dot; nothing when `path` is elsewhere.
std::optional<std::string_view> next_part(std::string_view path, std::string_view prefix) {
    if (!prefix.empty()) {
        if (!path.starts_with(prefix) || path.size() <= prefix.size() || path[prefix.size()] != '.')
            return std::nullopt;
        path.remove_prefix(prefix.size() + 1);
    }
    return path.substr(0, path.find('.'));
}

struct Checker {
    std::span<const Option> table;
    std::span<const std::string> also_known;
    std::vector<Finding> findings;

    void check(const json::object& object, const std::string& prefix) {
        for (const auto& member : object) {
            const std::string key(member.key());
            const std::string path = prefix.empty() ? key : prefix + '.' + key;
            const json::value& value = member.value();
            if (std::ranges::find(also_known, path) != also_known.end()) continue;
            if (is_section(path)) {
                if (const auto* section = value.if_object())
                    check(*section, path);
                else if (!value.is_null())
                    findings.push_back({.path = path, .text = "is a section of keys, not one value", .hint = ""});
            } else if (const Option* option = key.contains('.') ? nullptr : find_option(table, path)) {
                if (auto allowed = check_value(*option, value); !allowed)
                    findings.push_back({.path = path, .text = allowed.error().text, .hint = allowed.error().hint});
            } else {
                unknown(prefix, key, path);
            }
        }
    }

    bool is_section(const std::string& path) const {
        return std::ranges::any_of(table,
                                   [&](const Option& option) { return next_part(option.path, path).has_value(); });
    }

    void unknown(const std::string& prefix, const std::string& key, const std::string& path) {
        std::vector<std::string> candidates;
        for (const Option& option : table)
            if (const auto part = next_part(option.path, prefix); part && *part != "*" && !option.ignored)
                candidates.emplace_back(*part);
        const auto meant = nearest(key, candidates);
        findings.push_back({.path = path,
                            .unknown = true,
                            .text = "is not a known key",
                            .hint = meant ? fmt::format("is '{}' meant?", *meant) : std::string()});
    }
};

}  // namespace

const Option* find_option(std::span<const Option> table, std::string_view path) {
    const auto exact = std::ranges::find(table, path, &Option::path);
    if (exact != table.end()) return &*exact;
    const auto wildcard = std::ranges::find_if(table, [&](const Option& option) {
        if (!option.path.ends_with(".*")) return false;
        const auto prefix = option.path.substr(0, option.path.size() - 1);
        return path.starts_with(prefix) && path.size() > prefix.size() && !path.substr(prefix.size()).contains('.');
    });
    return wildcard == table.end() ? nullptr : &*wildcard;
}

const json::value* find_value(const json::object& object, std::string_view path) {
    const json::object* here = &object;
    while (true) {
        const auto dot = path.find('.');
        const auto* found = here->if_contains(path.substr(0, dot));
        if (found == nullptr || found->is_null()) return nullptr;
        if (dot == std::string_view::npos) return found;
        here = found->if_object();
        if (here == nullptr) return nullptr;
        path.remove_prefix(dot + 1);
    }
}

std::optional<std::string> scalar_text(const json::value& value) {
    switch (value.kind()) {
        case json::kind::string:
            return std::string(value.get_string());
        case json::kind::bool_:
            return value.get_bool() ? "true" : "false";
        case json::kind::int64:
            return std::to_string(value.get_int64());
        case json::kind::uint64:
            return std::to_string(value.get_uint64());
        case json::kind::double_: {
            std::string text = fmt::format("{}", value.get_double());
            return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
        }
        default:
            return std::nullopt;
    }
}

std::optional<std::int64_t> whole_number(const json::value& value, std::string_view unit) {
    if (value.is_int64()) return value.get_int64();
    std::optional<double> number;
    if (value.is_double())
        number = value.get_double();
    else if (const auto* text = value.if_string())
        number = parse_with_unit(std::string_view(text->data(), text->size()), unit);
    constexpr double limit = 9e18;  // below 2^63
    if (!number || !std::isfinite(*number) || *number > limit || *number < -limit) return std::nullopt;
    return static_cast<std::int64_t>(std::llrint(*number));
}

Result<> check_value(const Option& option, const json::value& value) {
    if (value.is_null() || option.ignored) return {};
    const auto wrong = [&](std::string_view what, std::string hint = {}) {
        return fail(Errc::invalid_input, fmt::format("{} is {}", shown(option, value), what), std::move(hint));
    };
    switch (option.kind) {
        case Kind::any:
            return {};
        case Kind::text:
            if (value.is_bool()) return wrong("a boolean, not text", "put it in quotes");
            if (!scalar_text(value)) return wrong("not text");
            return {};
        case Kind::boolean:
            if (!parse_bool(value)) return wrong("neither true nor false");
            return {};
        case Kind::integer:
            return check_integer(option, value);
        case Kind::choice:
            if (!is_choice(option, value)) return wrong(fmt::format("not one of: {}", option.choices));
            return {};
        case Kind::address: {
            const auto text = scalar_text(value);
            if (!text || value.is_bool()) return wrong("no host:port");
            if (!split_address(*text, "1"))
                return wrong("no host:port", "for example 10.0.0.1:8008, or [fd00::1]:8008");
            return {};
        }
        case Kind::list:
            if (value.is_string()) return {};
            if (!value.is_array()) return wrong("not a list");
            for (const auto& element : value.get_array())
                if (!scalar_text(element)) return wrong("not a list of words");
            return {};
        case Kind::map:
            if (!value.is_object()) return wrong("not a map of keys and values");
            return {};
    }
    return {};
}

std::vector<Finding> check_keys(const json::object& object, std::span<const Option> table,
                                std::span<const std::string> also_known) {
    Checker checker{.table = table, .also_known = also_known, .findings = {}};
    checker.check(object, "");
    return std::move(checker.findings);
}

}  // namespace pgkeel::config
