#pragma once
#include "agent/node.hpp"
#include "agent/rest/answers.hpp"
#include "agent/rest/schedule.hpp"

#include <optional>
#include <string>

// What the bodies of actions ask for (Patroni's documentation, "REST API"). Pure; the order of the checks and their
// texts are part of the contract.

namespace pgkeel::agent::rest {

/// POST /restart.
struct RestartAsked {
    RestartRequest filters;
    std::optional<WallTime> at;  ///< nothing: now
};
OrAnswer<RestartAsked> read_restart(const boost::json::object& body, bool paused, WallTime now);

/// POST /switchover and /failover. A failover that names a leader is a switchover.
struct HandoverAsked {
    bool is_switchover = false;
    std::string leader;
    std::string candidate;
    std::optional<WallTime> at;

    const char* action() const { return is_switchover ? "switchover" : "failover"; }
};
OrAnswer<HandoverAsked> read_handover(const boost::json::object& body, bool is_switchover, bool paused, WallTime now);

/// 150002 for "15.2", 90603 for "9.6.3"; nothing when it is not a version.
std::optional<int> version_number(std::string_view text);

}  // namespace pgkeel::agent::rest
