#pragma once
#include "base/clock.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::cli {

/// A moment an operator named, and the text of it that agents get: ISO 8601 with zone.
struct When {
    WallTime at;
    std::string text;
};

/// "now" or empty: nothing. Else ISO 8601, e.g. 2026-11-21T10:30, "2026-11-21 10:30:15+01:00" or with Z; without a zone
/// it is local time. Errors: invalid_input — not such a text, no such date, or not after `now`.
Result<std::optional<When>> parse_when(std::string_view text, WallTime now);

/// "2026-11-21 10:30:15", local time.
std::string local_time_text(WallTime at);

}  // namespace pgkeel::cli
