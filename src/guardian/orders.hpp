#pragma once
#include "base/clock.hpp"

#include <sys/types.h>

#include <cstdint>

// What an agent wants of its guardian, and what follows from that now. Pure (docs/decisions/0007-guardian.md).

namespace pgkeel::guardian {

enum class State : std::uint32_t {
    disarmed,  ///< the server takes no writes: it is down, or in recovery
    armed,     ///< it may take writes, until the deadline
    paused,    ///< the cluster is paused: a primary goes on without a lease, and without an agent
};
const char* to_string(State state);

/// What the agent has written last. It stays in force when the agent dies or stands still.
struct Orders {
    State state = State::disarmed;
    Instant deadline{};            ///< armed: no write may be acknowledged after this
    bool ends_with_agent = false;  ///< armed: and not after the agent's end either; a cluster that is being made
    pid_t postmaster = 0;          ///< 0: whichever is started in that directory
    std::uint64_t started = 0;     ///< its start time, clock ticks since boot: with the pid one process for ever
    std::uint64_t device = 0;      ///< of the data directory
    std::uint64_t inode = 0;
    bool operator==(const Orders&) const = default;
};

enum class Act {
    wait,
    fence,  ///< kill every process of that server, now
    leave,  ///< nobody needs this guardian any more
};

struct Verdict {
    Act act = Act::wait;
    Instant look_again{};  ///< at the latest
};

/// \param agent_lives  the process that wrote the orders exists; whether it does anything is another question
Verdict verdict(const Orders& orders, bool agent_lives, Instant now);

}  // namespace pgkeel::guardian
