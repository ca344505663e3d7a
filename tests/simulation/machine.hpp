#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"
#include "base/sync_rule.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pgkeel::simulation {

/// A host's PostgreSQL: its data directory and its processes. It outlives the agent, as the real one does.
struct Machine {
    enum class State { down, starting, standby, primary, stopping };

    std::string name;
    bool has_data = false;
    bool half_rewound = false;     ///< pg_rewind was interrupted in it
    bool may_be_replaced = false;  ///< another copy was seen since
    std::string system_identifier;
    Timeline timeline{1};
    Lsn position;                       ///< end of WAL
    std::vector<HistoryEntry> history;  ///< where earlier timelines ended
    bool standby_signal = false;
    ControlState control = ControlState::unknown;
    State state = State::down;
    bool starts_as_primary = false;
    bool hung = false;  ///< does not answer
    std::string follows;
    std::set<std::string> slots;  ///< physical ones; each keeps all WAL
    SyncRule rule;                ///< synchronous_standby_names, as new sessions see it
    /// One standby's connection. It works under the rule that it has read itself.
    struct Sender {
        int pid = 0;
        SyncRule rule;
        Lsn sent;
        Lsn flushed;  ///< as the standby told
        Instant stands_still_until{};
    };
    std::map<std::string, Sender> senders;  ///< of a primary, by standby
    Lsn acknowledged;                       ///< to clients of this primary
    std::uint64_t started = 0;              ///< `life` of the last start
    std::uint64_t life = 0;                 ///< changes with every start and end: old events are void

    /// A client could get a write acknowledged.
    bool writable() const { return state == State::primary || (state == State::stopping && starts_as_primary); }
    bool running() const { return state != State::down; }

    /// Everything of it ends at once; what pg_control says then depends on what it was doing.
    void end_abruptly();
    /// Where this history leaves `other`'s; nothing when it is a prefix of it.
    bool diverged_from(const Machine& other, std::string* why = nullptr) const;
    /// Up to which point the two histories are the same.
    Lsn common_with(const Machine& other, Timeline* on) const;
};

}  // namespace pgkeel::simulation
