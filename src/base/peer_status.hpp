#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"

namespace pgkeel {

/// What another node said of itself when it was asked (GET /patroni).
struct PeerStatus {
    std::string name;
    bool reachable = false;  ///< answered, with a location
    bool in_recovery = true;
    Timeline timeline;
    Lsn position;  ///< max(received, replayed), or the primary's location
    std::string state;
    std::string system_identifier;
    Tags tags;
    bool watchdog_failed = false;
    bool cannot_write = false;      ///< its volumes take nothing
    bool history_diverged = false;  ///< it has to be rewound before it can follow or lead
    /// False: it has not replayed the WAL it has on its own disk yet, or its server was not asked just now. It may have
    /// more than `position`.
    bool position_known = true;
    Instant asked{};  ///< when it was asked
    Instant seen{};   ///< when the answer came, or was given up
};

}  // namespace pgkeel
