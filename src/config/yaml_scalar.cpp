#include "config/yaml.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

// The words of YAML 1.1 (yaml.org/type: bool, int, float, null), as PyYAML's resolver matches them. Times of day in
// base 60 are numbers there too; dates stay text, because JSON has none.

namespace pgkeel::config {
namespace {

namespace json = boost::json;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

template <std::size_t n>
bool any_of(std::string_view text, const std::array<std::string_view, n>& words) {
    return std::ranges::find(words, text) != words.end();
}

constexpr std::array<std::string_view, 4> null_words{"~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 9> true_words{"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
constexpr std::array<std::string_view, 9> false_words{"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};

/// `digits` without their underscores, all of them digits of `base`; else nothing.
std::optional<std::string> cleaned(std::string_view digits, int base) {
    std::string out;
    for (const char c : digits) {
        if (c == '_') continue;
        const int value = is_digit(c)            ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : 99;
        if (value >= base) return std::nullopt;
        out += c;
    }
    if (out.empty()) return std::nullopt;
    return out;
}

/// Nothing when it does not fit: the text is kept then, which loses nothing.
std::optional<json::value> integer(bool negative, const std::string& digits, int base) {
    std::uint64_t magnitude = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    constexpr auto int64_max = static_cast<std::uint64_t>(INT64_MAX);
    if (!negative) {
        if (magnitude <= int64_max) return json::value(static_cast<std::int64_t>(magnitude));
        return json::value(magnitude);
    }
    if (magnitude > int64_max + 1) return std::nullopt;
    return json::value(static_cast<std::int64_t>(~magnitude + 1));
}

/// "1:30" is 90.
std::optional<json::value> base_60(bool negative, std::string_view text) {
    std::int64_t total = 0;
    bool first = true;
    while (true) {
        const auto colon = std::min(text.find(':'), text.size());
        const auto digits = cleaned(text.substr(0, colon), 10);
        if (!digits || digits->size() > (first ? 12 : 2)) return std::nullopt;
        std::int64_t part = 0;
        std::from_chars(digits->data(), digits->data() + digits->size(), part);
        if (!first && part > 59) return std::nullopt;
        if (total > INT64_MAX / 61 - 1) return std::nullopt;
        total = total * 60 + part;
        first = false;
        if (colon == text.size()) break;
        text.remove_prefix(colon + 1);
    }
    return json::value(negative ? -total : total);
}

std::optional<json::value> as_integer(std::string_view text) {
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    if (text == "0") return json::value(0);
    int base = 10;
    if (text.starts_with("0b"))
        base = 2;
    else if (text.starts_with("0x"))
        base = 16;
    else if (text[0] == '0')
        base = 8;
    else if (text.contains(':'))
        return base_60(negative, text);
    const auto digits = cleaned(text.substr(base == 2 || base == 16 ? 2 : 0), base);
    return digits ? integer(negative, *digits, base) : std::nullopt;
}

/// [-+]? digits '.' digits* ([eE][-+]digits)?, or '.' digits … without a sign; a point is required, and so is the
/// exponent's sign.
std::optional<json::value> as_float(std::string_view text) {
    const auto point = text.find('.');
    if (point == std::string_view::npos) return std::nullopt;
    std::string clean;
    std::size_t digits = 0;
    bool exponent = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '_' && i > 0 && !exponent) continue;
        if (is_digit(c)) {
            if (!exponent) ++digits;
        } else if (c == '-' || c == '+') {
            const bool leads = i == 0 && point != 1;
            const bool of_exponent = i > 0 && (text[i - 1] == 'e' || text[i - 1] == 'E');
            if (!leads && !of_exponent) return std::nullopt;
            if (c == '+') continue;
        } else if (c == 'e' || c == 'E') {
            if (exponent || digits == 0 || i < point) return std::nullopt;
            const bool has_sign = i + 2 < text.size() && (text[i + 1] == '-' || text[i + 1] == '+');
            if (!has_sign) return std::nullopt;
            exponent = true;
        } else if (c != '.' || i != point) {
            return std::nullopt;
        }
        clean += c;
    }
    if (digits == 0) return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(clean.data(), clean.data() + clean.size(), value);
    if (error != std::errc{} || end != clean.data() + clean.size() || !std::isfinite(value)) return std::nullopt;
    return json::value(value);
}

}  // namespace

json::value plain_scalar(std::string_view text) {
    if (text.empty() || any_of(text, null_words)) return nullptr;
    if (any_of(text, true_words)) return true;
    if (any_of(text, false_words)) return false;
    if (auto number = as_integer(text)) return *number;
    if (auto number = as_float(text)) return *number;
    return json::string(text);
}

}  // namespace pgkeel::config
