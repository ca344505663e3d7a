#pragma once
#include "agent/rest/answers.hpp"
#include "base/clock.hpp"

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace pgkeel::agent::rest {

/// A time as people and date libraries write it.
struct ReadTime {
    enum class Kind { time, no_zone, unreadable } kind = Kind::unreadable;
    WallTime time{};
};
/// Reads ISO 8601 and its relatives (2026-11-21T02:03:04.5+01:00, 2026-11-21 2:03 UTC, 20261121T0203Z, 2026/11/21
/// 02:03:04 +0100) and RFC 2822 (Sat, 21 Nov 2026 02:03:04 +0100). Years 1971 to 2199.
ReadTime read_time(std::string_view text);

/// The time of a scheduled action, or the answer that refuses it: 400 without a zone, 422 in the past or unreadable.
/// \param action  restart or switchover, for the text
OrAnswer<WallTime> read_schedule(const boost::json::value& given, const std::string& action, WallTime now);

/// "2026-11-21T02:03:04.500000+00:00"; the fraction only when there is one. What is stored and shown.
std::string iso_with_zone(WallTime time);

}  // namespace pgkeel::agent::rest
