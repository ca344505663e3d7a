#include "agent/rest/requests.hpp"

#include "config/dynamic_config.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

/// A name longer than this is no name of a member.
constexpr std::size_t name_bytes_max = 256;

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.get_string().data(), value.get_string().size()) : std::string{};
}

/// Seconds, as a number or with a unit; nothing unless it is positive and below a year.
std::optional<Duration> timeout_of(const json::value& value) {
    std::optional<double> seconds;
    if (value.is_string())
        seconds = config::parse_with_unit(text_of(value), "s");
    else if (value.is_number())
        seconds = value.is_double()  ? value.get_double()
                  : value.is_int64() ? static_cast<double>(value.get_int64())
                                     : static_cast<double>(value.get_uint64());
    if (!seconds || !(*seconds > 0) || *seconds > 366.0 * 86400) return std::nullopt;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*seconds));
}

/// Whatever is set and not plainly false is true, as a Python program would see it.
bool is_set(const json::value& value) {
    if (const auto flag = config::parse_bool(value)) return *flag;
    return !value.is_null() && !(value.is_string() && value.get_string().empty());
}

/// A name in the body; nothing when it is there and no text.
std::optional<std::string> name_in(const json::object& body, std::string_view key) {
    const json::value* value = body.if_contains(key);
    if (value == nullptr || value->is_null()) return std::string{};
    if (!value->is_string() || value->get_string().size() > name_bytes_max) return std::nullopt;
    return text_of(*value);
}

bool is_given(const json::value* value) {
    return value != nullptr && !value->is_null() && !(value->is_string() && value->get_string().empty()) &&
           !(value->is_bool() && !value->get_bool());
}

std::unexpected<http::Response> refuse(int status, std::string text) {
    return std::unexpected(text_answer(status, std::move(text)));
}

}  // namespace

std::optional<int> version_number(std::string_view text) {
    std::vector<int> parts;
    while (true) {
        const std::size_t end = std::min(text.find('.'), text.size());
        int part = 0;
        const auto [stop, error] = std::from_chars(text.data(), text.data() + end, part);
        if (error != std::errc{} || stop != text.data() + end || part < 0 || part > 99 || parts.size() == 3)
            return std::nullopt;
        parts.push_back(part);
        if (end == text.size()) break;
        text.remove_prefix(end + 1);
    }
    if (parts.size() < 2) return std::nullopt;
    if (parts[0] >= 10) return parts.size() == 2 ? std::optional(parts[0] * 10000 + parts[1]) : std::nullopt;
    return parts[0] * 10000 + parts[1] * 100 + (parts.size() == 3 ? parts[2] : 0);
}

OrAnswer<RestartAsked> read_restart(const json::object& body, bool paused, WallTime now) {
    if (paused && body.contains("schedule")) return refuse(500, "Can't schedule restart in the paused state");
    RestartAsked asked;
    for (const auto& [key, value] : body) {
        if (key == "schedule") {
            const auto at = read_schedule(value, "restart", now);
            if (!at) return std::unexpected(at.error());
            asked.at = *at;
            asked.filters.schedule = iso_with_zone(*at);
            asked.filters.as_given["schedule"] = asked.filters.schedule;
            continue;
        }
        if (key == "role") {
            const std::string role = text_of(value);
            if (role != "primary" && role != "master" && role != "standby_leader" && role != "replica")
                return refuse(400, "PostgreSQL role should be either primary, standby_leader, or replica");
            asked.filters.role = role == "master" ? "primary" : role;
        } else if (key == "postgres_version") {
            const auto version = version_number(text_of(value));
            if (!version) return refuse(400, "Invalid PostgreSQL version: it should be X.Y, or X.Y.Z before 10");
            asked.filters.version_below = *version;
        } else if (key == "timeout") {
            asked.filters.timeout = timeout_of(value);
            if (!asked.filters.timeout) return refuse(400, "Timeout should be a positive number of seconds");
        } else if (key == "restart_pending") {
            asked.filters.only_pending = is_set(value);
        } else {
            return refuse(400, fmt::format("Unknown filter for the scheduled restart: {}",
                                           std::string_view(key.data(), key.size()).substr(0, name_bytes_max)));
        }
        asked.filters.as_given[key] = value;
    }
    return asked;
}

OrAnswer<HandoverAsked> read_handover(const json::object& body, bool is_switchover, bool paused, WallTime now) {
    HandoverAsked asked;
    asked.is_switchover = is_switchover;
    const auto leader = name_in(body, "leader");
    auto candidate = name_in(body, "candidate");
    if (candidate && candidate->empty()) candidate = name_in(body, "member");
    if (!leader || !candidate) return refuse(400, "leader and candidate should be names of members");
    asked.leader = *leader;
    asked.candidate = *candidate;
    if (!is_switchover && asked.candidate.empty())
        return refuse(400, "Failover could be performed only to a specific candidate");
    if (is_switchover && asked.leader.empty())
        return refuse(400, "Switchover could be performed only from a specific leader");
    if (const json::value* schedule = body.if_contains("scheduled_at"); is_given(schedule)) {
        if (!is_switchover) return refuse(400, "Failover can't be scheduled");
        if (paused) return refuse(400, "Can't schedule switchover in the paused state");
        const auto at = read_schedule(*schedule, "switchover", now);
        if (!at) return std::unexpected(at.error());
        asked.at = *at;
    }
    if (paused && asked.candidate.empty())
        return refuse(400, "Switchover is possible only to a specific candidate in a paused state");
    if (!asked.leader.empty()) asked.is_switchover = true;
    if (asked.leader == asked.candidate) return refuse(400, "Switchover target and source are the same");
    return asked;
}

}  // namespace pgkeel::agent::rest
