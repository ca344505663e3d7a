#pragma once
#include <chrono>

namespace pgkeel {

/// The clock of every deadline: CLOCK_BOOTTIME, which no administrator and no NTP step moves and which runs through a
/// suspend. Wall time is used for schedules and for texts, never for a safety decision (docs/decisions/0002-lease.md).
struct Boottime {
    using duration = std::chrono::microseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Boottime>;
    static constexpr bool is_steady = true;
    static time_point now();
};

using Instant = Boottime::time_point;
using Duration = Boottime::duration;
/// When to give up waiting.
using Deadline = Instant;

using WallTime = std::chrono::system_clock::time_point;

inline double seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

}  // namespace pgkeel
