#include "agent/rest/schedule.hpp"

#include "ha/switchover.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

// Every form is rewritten into strict ISO 8601, which ha/ reads when the time has come: one reader decides what a date
// is.

namespace pgkeel::agent::rest {
namespace {

constexpr std::size_t text_bytes_max = 64;

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> words;
    std::size_t at = 0;
    while ((at = text.find_first_not_of(separators, at)) != std::string_view::npos) {
        const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

/// "7" → "07"; nothing unless it is one or two digits.
std::optional<std::string> two_digits(std::string_view text) {
    if (!all_digits(text) || text.size() > 2) return std::nullopt;
    return text.size() == 1 ? "0" + std::string(text) : std::string(text);
}

/// "nov", "november" → "11"
std::optional<std::string> month_number(std::string_view word) {
    static constexpr std::array months{"january", "february", "march",     "april",   "may",      "june",
                                       "july",    "august",   "september", "october", "november", "december"};
    if (word.size() < 3) return std::nullopt;
    for (std::size_t i = 0; i < months.size(); ++i)
        if (std::string_view(months[i]).starts_with(word)) return fmt::format("{:02}", i + 1);
    return std::nullopt;
}

bool is_weekday(std::string_view word) {
    static constexpr std::array days{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
    return word.size() >= 3 && std::ranges::any_of(days, [&](std::string_view day) { return day.starts_with(word); });
}

/// "2026-11-21", "2026/11/21", "20261121" → "2026-11-21"
std::optional<std::string> numeric_date(std::string_view text) {
    if (all_digits(text) && text.size() == 8)
        return fmt::format("{}-{}-{}", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2));
    const std::vector<std::string> parts = split(text, "-/");
    if (parts.size() != 3 || parts[0].size() != 4 || !all_digits(parts[0])) return std::nullopt;
    const auto month = two_digits(parts[1]);
    const auto day = two_digits(parts[2]);
    if (!month || !day) return std::nullopt;
    return fmt::format("{}-{}-{}", parts[0], *month, *day);
}

/// "2:03", "02:03:04.5", "020304" → "02:03:04.5"
std::optional<std::string> clock_time(std::string_view text) {
    if (all_digits(text) && (text.size() == 4 || text.size() == 6))
        return fmt::format("{}:{}:{}", text.substr(0, 2), text.substr(2, 2), text.size() == 6 ? text.substr(4) : "00");
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto hour = two_digits(text.substr(0, colon));
    if (!hour) return std::nullopt;
    return *hour + std::string(text.substr(colon));
}

/// What is left of a text once the zone is cut off, and the zone as ISO 8601 has it; empty: none.
struct Zoned {
    std::string rest;
    std::string zone;
};

Zoned cut_zone(std::string text, std::size_t date_bytes) {
    for (const std::string_view name : {"utc", "gmt", "z"})
        if (text.ends_with(name)) {
            text.resize(text.size() - name.size());
            return {std::move(text), "Z"};
        }
    // A sign before the time is one of the date's dashes.
    const std::size_t sign = text.find_last_of("+-");
    if (sign == std::string::npos || sign < date_bytes) return {std::move(text), {}};
    std::string zone = text.substr(sign);
    text.resize(sign);
    if (zone == "-0000") zone = "+0000";
    if (zone.size() == 2 && is_digit(zone[1])) zone.insert(1, "0");
    return {std::move(text), std::move(zone)};
}

ReadTime checked(const std::string& date, const std::string& time, const std::string& zone) {
    int year = 0;
    std::from_chars(date.data(), date.data() + 4, year);
    if (year < 1971 || year > 2199) return {};  // beyond, nanoseconds in 64 bits run over
    const auto read = ha::parse_iso_time(date + "T" + time + (zone.empty() ? "Z" : zone));
    if (!read) return {};
    if (zone.empty()) return {ReadTime::Kind::no_zone, {}};
    return {ReadTime::Kind::time, *read};
}

/// "sat, 21 nov 2026 02:03:04 +0100" (RFC 2822, section 3.3); the weekday may be missing.
ReadTime read_rfc2822(const std::string& text) {
    std::vector<std::string> words = split(text, ", \t");
    if (!words.empty() && is_weekday(words.front())) words.erase(words.begin());
    if (words.size() < 4 || words.size() > 5) return {};
    const auto day = two_digits(words[0]);
    const auto month = month_number(words[1]);
    if (!day || !month || words[2].size() != 4 || !all_digits(words[2])) return {};
    const Zoned last = words.size() == 5 ? cut_zone(words[4], 0) : cut_zone(words[3], 0);
    if (words.size() == 5 && !last.rest.empty()) return {};
    const auto time = clock_time(words.size() == 5 ? words[3] : last.rest);
    if (!time) return {};
    return checked(fmt::format("{}-{}-{}", words[2], *month, *day), *time, last.zone);
}

ReadTime read_numeric(const std::string& text) {
    const std::size_t date_end = std::min(text.find_first_of("t \t"), text.size());
    const auto date = numeric_date(std::string_view(text).substr(0, date_end));
    if (!date) return {};
    Zoned zoned = cut_zone(text, date_end);
    std::vector<std::string> words =
        split(std::string_view(zoned.rest).substr(std::min(date_end, zoned.rest.size())), "t \t");
    if (words.empty()) return checked(*date, "00:00:00", zoned.zone);
    if (words.size() != 1) return {};
    const auto time = clock_time(words.front());
    return time ? checked(*date, *time, zoned.zone) : ReadTime{};
}

}  // namespace

ReadTime read_time(std::string_view given) {
    const auto begin = given.find_first_not_of(" \t");
    if (begin == std::string_view::npos || given.size() > text_bytes_max) return {};
    const std::string text = lower(given.substr(begin, given.find_last_not_of(" \t") - begin + 1));
    const ReadTime numeric = read_numeric(text);
    return numeric.kind != ReadTime::Kind::unreadable ? numeric : read_rfc2822(text);
}

OrAnswer<WallTime> read_schedule(const boost::json::value& given, const std::string& action, WallTime now) {
    const ReadTime read =
        given.is_string() ? read_time({given.get_string().data(), given.get_string().size()}) : ReadTime{};
    switch (read.kind) {
        case ReadTime::Kind::unreadable:
            return std::unexpected(text_answer(
                422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"));
        case ReadTime::Kind::no_zone:
            return std::unexpected(text_answer(400, "Timezone information is mandatory for the scheduled " + action));
        case ReadTime::Kind::time:
            break;
    }
    if (read.time < now) return std::unexpected(text_answer(422, "Cannot schedule " + action + " in the past"));
    return read.time;
}

std::string iso_with_zone(WallTime time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    const auto fraction = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
    std::string text = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)));
    if (fraction != 0) text += fmt::format(".{:06}", fraction);
    return text + "+00:00";
}

}  // namespace pgkeel::agent::rest
