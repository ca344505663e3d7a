#include "cli/when.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

namespace pgkeel::cli {

namespace {
/// Reads exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return {};
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return {};
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

/// Z, +HH, +HHMM or +HH:MM in seconds east of Greenwich.
std::optional<long> take_zone(std::string_view& text) {
    if (take(text, "Zz")) return 0;
    const long sign = text.starts_with('-') ? -1 : 1;
    if (!take(text, "+-")) return {};
    const auto hours = take_number(text, 2);
    if (!hours || *hours > 15) return {};
    if (text.empty()) return sign * *hours * 3600;
    take(text, ":");
    const auto minutes = take_number(text, 2);
    if (!minutes || *minutes > 59) return {};
    return sign * (*hours * 3600 + *minutes * 60);
}

struct Read {
    std::tm fields{};
    std::optional<long> zone;
};

std::optional<Read> read(std::string_view text) {
    Read result;
    const auto year = take_number(text, 4);
    if (!year || !take(text, "-")) return {};
    const auto month = take_number(text, 2);
    if (!month || !take(text, "-")) return {};
    const auto day = take_number(text, 2);
    if (!day || !take(text, "Tt ")) return {};
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ":")) return {};
    const auto minute = take_number(text, 2);
    if (!minute) return {};
    int second = 0;
    if (take(text, ":")) {
        const auto seconds_read = take_number(text, 2);
        if (!seconds_read) return {};
        second = *seconds_read;
        if (take(text, ".,")) {  // fractions are too fine for a schedule
            if (!take_number(text, 1)) return {};
            while (take_number(text, 1)) {
            }
        }
    }
    while (take(text, " ")) {
    }
    if (!text.empty()) {
        result.zone = take_zone(text);
        if (!result.zone || !text.empty()) return {};
    }
    if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || second > 59) return {};
    result.fields.tm_year = *year - 1900;
    result.fields.tm_mon = *month - 1;
    result.fields.tm_mday = *day;
    result.fields.tm_hour = *hour;
    result.fields.tm_min = *minute;
    result.fields.tm_sec = second;
    result.fields.tm_isdst = -1;
    return result;
}
}  // namespace

Result<std::optional<When>> parse_when(std::string_view text, WallTime now) {
    if (text.empty() || text == "now") return std::optional<When>{};
    auto moment = read(text);
    if (!moment)
        return fail(Errc::invalid_input, fmt::format("'{}' is not a time", text),
                    "write it as 2026-11-21T10:30, with +01:00 or Z behind it unless it is local time");
    const int day = moment->fields.tm_mday;
    std::tm fields = moment->fields;
    const std::time_t local_or_utc = moment->zone ? timegm(&fields) : std::mktime(&fields);
    // Both functions turn 31 April into 1 May; in local time an hour may move at a change of the clocks, a day may not.
    if (fields.tm_mday != day) return fail(Errc::invalid_input, fmt::format("there is no such day: '{}'", text));
    const long zone = moment->zone.value_or(fields.tm_gmtoff);
    const std::time_t seconds_utc = moment->zone ? local_or_utc - zone : local_or_utc;
    When when{std::chrono::system_clock::from_time_t(seconds_utc), {}};
    if (when.at <= now)
        return fail(Errc::invalid_input, fmt::format("{} is in the past", text), "name a moment to come, or `now`");
    when.text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{:02}:{:02}", fields.tm_year + 1900,
                            fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec,
                            zone < 0 ? '-' : '+', std::labs(zone) / 3600, std::labs(zone) / 60 % 60);
    return std::optional(std::move(when));
}

std::string local_time_text(WallTime at) {
    const std::time_t seconds_utc = std::chrono::system_clock::to_time_t(at);
    std::tm fields{};
    localtime_r(&seconds_utc, &fields);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", fields.tm_year + 1900, fields.tm_mon + 1, fields.tm_mday,
                       fields.tm_hour, fields.tm_min, fields.tm_sec);
}

}  // namespace pgkeel::cli
