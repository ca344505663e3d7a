#include "config/dynamic_config.hpp"

#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

// Values as operators write them: booleans in PostgreSQL's many words, numbers with units.

namespace pgkeel::config {
namespace {

struct Unit {
    std::string_view name;
    double factor;   ///< in bytes, or in microseconds
    double smaller;  ///< factor of the next smaller unit: fractions are rounded to it, as PostgreSQL does
    bool of_size;
};
constexpr double kilo = 1024;
constexpr std::array units{
    Unit{"B", 1, 0, true},
    Unit{"kB", kilo, 1, true},
    Unit{"MB", kilo* kilo, kilo, true},
    Unit{"GB", kilo* kilo* kilo, kilo* kilo, true},
    Unit{"TB", kilo* kilo* kilo* kilo, kilo* kilo* kilo, true},
    Unit{"us", 1, 0, false},
    Unit{"ms", 1e3, 1, false},
    Unit{"s", 1e6, 1e3, false},
    Unit{"min", 60e6, 1e6, false},
    Unit{"h", 3600e6, 60e6, false},
    Unit{"d", 86400e6, 3600e6, false},
};

const Unit* unit_named(std::string_view name) {
    const auto* found = std::ranges::find(units, name, &Unit::name);
    return found == units.end() ? nullptr : found;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\n\v\f\r";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Takes a whole number in C's notation (0x…, 0…, decimal) or a decimal fraction off the front of `text`.
std::optional<double> take_number(std::string_view& text) {
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    if (text.empty() || (!is_digit(text[0]) && text[0] != '.')) return std::nullopt;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    int base = 10;
    if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        base = 16;
    else if (text.size() > 1 && text[0] == '0' && is_digit(text[1]))
        base = 8;
    std::uint64_t whole = 0;
    auto [stop, error] = std::from_chars(begin + (base == 16 ? 2 : 0), end, whole, base);
    double value = static_cast<double>(whole);
    const bool fraction_follows = stop != end && (*stop == '.' || *stop == 'e' || *stop == 'E');
    if (base != 16 && (error != std::errc{} || fraction_follows))
        std::tie(stop, error) = [&] {
            const auto real = std::from_chars(begin, end, value);
            return std::pair(real.ptr, real.ec);
        }();
    if (error != std::errc{} || stop == begin || !std::isfinite(value)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - begin));
    return negative ? -value : value;
}

}  // namespace

std::optional<bool> parse_bool(const json::value& value) {
    if (const bool* known = value.if_bool()) return *known;
    if (value.is_int64() || value.is_uint64()) {
        const auto number =
            value.is_int64() ? value.get_int64() : static_cast<std::int64_t>(value.get_uint64() > 1 ? 2 : 1);
        if (number == 0 || number == 1) return number == 1;
        return std::nullopt;
    }
    const auto* text = value.if_string();
    if (text == nullptr || text->size() > 5) return std::nullopt;
    std::string lower(text->data(), text->size());
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower == "on" || lower == "true" || lower == "yes" || lower == "1") return true;
    if (lower == "off" || lower == "false" || lower == "no" || lower == "0") return false;
    return std::nullopt;
}

std::optional<double> parse_with_unit(std::string_view text, std::string_view base_unit) {
    text = trimmed(text);
    auto number = take_number(text);
    if (!number) return std::nullopt;
    text = trimmed(text);
    if (text.empty()) return number;

    double base_count = 1;  // the 8 of "8kB"
    if (!base_unit.empty() && is_digit(base_unit[0])) {
        const auto count = take_number(base_unit);
        if (!count || *count <= 0) return std::nullopt;
        base_count = *count;
    }
    const Unit* unit = unit_named(text);
    const Unit* base = unit_named(base_unit);
    if (unit == nullptr || base == nullptr || unit->of_size != base->of_size) return std::nullopt;
    double value = *number * unit->factor;
    if (unit->smaller > 0) value = std::nearbyint(value / unit->smaller) * unit->smaller;
    value /= base->factor * base_count;
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace pgkeel::config
