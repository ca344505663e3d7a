#include "config/dynamic_config.hpp"
#include "config/pooler_declared.hpp"
#include "config/view.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

// The kinds of values that settings have, as text and back.

namespace pgkeel::config {
namespace {

// In the order of the enumerators.
constexpr std::array pool_modes{"session", "transaction", "statement"};
constexpr std::array auth_types{"any", "trust", "plain", "md5", "scram-sha-256", "cert", "hba", "ldap", "pam"};
constexpr std::array tls_modes{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
constexpr std::array load_balances{"round-robin", "disable"};
constexpr std::array log_formats{"pgkeel", "pgbouncer"};
constexpr std::array io_engines{"auto", "epoll", "io_uring"};
constexpr std::array routes{"primary", "standby", "any", "split", "configured"};

constexpr std::size_t shown_max = 60;  ///< characters of a wrong value that a message repeats

std::string shown(std::string_view text) {
    return fmt::format("'{}{}'", text.substr(0, shown_max), text.size() > shown_max ? "…" : "");
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

template <class Enum, std::size_t count>
Result<> read_word(const std::array<const char*, count>& words, std::string_view text, Enum& out) {
    for (std::size_t i = 0; i < count; ++i)
        if (std::ranges::equal(std::string_view(words[i]), text, {}, lower, lower)) {
            out = static_cast<Enum>(i);
            return {};
        }
    return fail(Errc::invalid_input, fmt::format("{} is none of the words allowed", shown(text)),
                fmt::format("write one of: {}", fmt::join(words, ", ")));
}

/// C's notation: 0777, 0x10, 12, with a sign; nothing behind it.
std::optional<std::int64_t> c_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    } else if (text.size() > 1 && text.starts_with('0')) {
        base = 8;
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    constexpr std::uint64_t most = std::uint64_t{1} << 62;
    if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
    return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
}

/// Decimal, with a fraction or an exponent; nothing behind it.
std::optional<double> decimal(std::string_view text) {
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

Result<> out_of_range(const Limits& limits, std::string_view text) {
    return fail(Errc::invalid_input, fmt::format("{} is out of range", shown(text)),
                fmt::format("it may be {} to {}{}{}", limits.minimum, limits.maximum, limits.unit.empty() ? "" : " ",
                            limits.unit == "mode" ? "" : limits.unit));
}

double microseconds_in(std::string_view unit) {
    return unit == "ms" ? 1e3 : 1e6;
}

}  // namespace

const char* to_string(PoolMode mode) {
    return pool_modes[static_cast<std::size_t>(mode)];
}
const char* to_string(AuthType type) {
    return auth_types[static_cast<std::size_t>(type)];
}
const char* to_string(TlsMode mode) {
    return tls_modes[static_cast<std::size_t>(mode)];
}
const char* to_string(LoadBalance balance) {
    return load_balances[static_cast<std::size_t>(balance)];
}
const char* to_string(LogFormat format) {
    return log_formats[static_cast<std::size_t>(format)];
}
const char* to_string(IoEngine engine) {
    return io_engines[static_cast<std::size_t>(engine)];
}
const char* to_string(Route route) {
    return routes[static_cast<std::size_t>(route)];
}

void Secret::wipe() noexcept {
    if (!value_.empty()) explicit_bzero(value_.data(), value_.size());
    value_.clear();
}

Result<> read_value(const Limits&, std::string_view text, std::string& out) {
    if (text.contains('\0')) return fail(Errc::invalid_input, "the value has a zero byte in it");
    out = text;
    return {};
}

Result<> read_value(const Limits&, std::string_view text, Secret& out) {
    if (text.contains('\0')) return fail(Errc::invalid_input, "the value has a zero byte in it");
    out = Secret(std::string(text));
    return {};
}

Result<> read_value(const Limits&, std::string_view text, bool& out) {
    if (const auto number = c_integer(text))
        out = *number != 0;
    else if (const auto flag = parse_bool(json::value(json::string(text))))
        out = *flag;
    else
        return fail(Errc::invalid_input, fmt::format("{} is neither yes nor no", shown(text)), "write 1 or 0");
    return {};
}

Result<> read_value(const Limits& limits, std::string_view text, std::int64_t& out) {
    auto number = c_integer(text);
    if (!number && limits.unit == "B")
        if (const auto size = parse_with_unit(text, "B"); size && *size == std::floor(*size) && std::abs(*size) < 9e18)
            number = static_cast<std::int64_t>(*size);
    if (!number)
        return fail(Errc::invalid_input, fmt::format("{} is no whole number", shown(text)),
                    limits.unit == "B" ? "write it in bytes, or with a unit: 16kB" : "");
    if (*number < limits.minimum || *number > limits.maximum) return out_of_range(limits, text);
    out = *number;
    return {};
}

Result<> read_value(const Limits& limits, std::string_view text, Duration& out) {
    auto number = decimal(text);
    if (!number) number = parse_with_unit(text, limits.unit);
    if (!number)
        return fail(Errc::invalid_input, fmt::format("{} is no time", shown(text)),
                    fmt::format("write it in {}, or with a unit: us, ms, s, min, h, d",
                                limits.unit == "ms" ? "milliseconds" : "seconds"));
    if (!(*number >= static_cast<double>(limits.minimum) && *number <= static_cast<double>(limits.maximum)))
        return out_of_range(limits, text);
    out = Duration(std::llrint(*number * microseconds_in(limits.unit)));
    return {};
}

Result<> read_value(const Limits&, std::string_view text, std::vector<std::string>& out) {
    if (text.contains('\0')) return fail(Errc::invalid_input, "the value has a zero byte in it");
    out = split_commas(text);
    return {};
}

Result<> read_value(const Limits&, std::string_view text, PoolMode& out) {
    return read_word(pool_modes, text, out);
}
Result<> read_value(const Limits&, std::string_view text, AuthType& out) {
    return read_word(auth_types, text, out);
}
Result<> read_value(const Limits&, std::string_view text, TlsMode& out) {
    return read_word(tls_modes, text, out);
}
Result<> read_value(const Limits&, std::string_view text, LoadBalance& out) {
    return read_word(load_balances, text, out);
}
Result<> read_value(const Limits&, std::string_view text, LogFormat& out) {
    return read_word(log_formats, text, out);
}
Result<> read_value(const Limits&, std::string_view text, IoEngine& out) {
    return read_word(io_engines, text, out);
}
Result<> read_value(const Limits&, std::string_view text, Route& out) {
    return read_word(routes, text, out);
}

std::string print_value(const Limits&, const std::string& value) {
    return value;
}

std::string print_value(const Limits&, const Secret& value) {
    return value.empty() ? "" : "********";
}

std::string print_value(const Limits&, bool value) {
    return value ? "1" : "0";
}

std::string print_value(const Limits& limits, std::int64_t value) {
    return limits.unit == "mode" ? fmt::format("0{:03o}", value) : std::to_string(value);
}

std::string print_value(const Limits& limits, Duration value) {
    return fmt::format("{}", static_cast<double>(value.count()) / microseconds_in(limits.unit));
}

std::string print_value(const Limits&, const std::vector<std::string>& value) {
    return fmt::format("{}", fmt::join(value, ", "));
}

Result<std::string> yaml_text(bool is_text, bool is_list, const boost::json::value& value) {
    if (const auto* array = value.if_array(); array != nullptr && is_list) {
        std::vector<std::string> words;
        for (const auto& element : *array) {
            auto word = scalar_text(element);
            if (!word || word->contains(','))
                return fail(Errc::invalid_input, "is not a list of words", "write [one, two]");
            words.push_back(std::move(*word));
        }
        return fmt::format("{}", fmt::join(words, ", "));
    }
    if (value.is_null()) return std::string();
    if (value.is_bool() && is_text) return fail(Errc::invalid_input, "is a boolean, not text", "put it in quotes");
    auto text = scalar_text(value);
    if (!text)
        return fail(Errc::invalid_input, value.is_array() ? "is a list, not one value" : "is a map, not one value");
    return std::move(*text);
}

}  // namespace pgkeel::config
