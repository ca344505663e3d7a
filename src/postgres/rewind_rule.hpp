#pragma once
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"

#include <optional>
#include <string>
#include <vector>

// Whether this node's history left its leader's. Pure.
//
// A standby may only follow a leader whose history contains everything the standby has. Timelines tell: the leader's
// history names each older timeline with the position where it was left (the switchpoint). What we have of that
// timeline beyond it exists here alone, and only pg_rewind or a new copy takes it away.

namespace pgkeel::postgres {

/// How far this node got, and as what.
struct LocalHistory {
    Timeline timeline;
    Lsn position;  ///< standby: replayed, or min_recovery_end; former primary: start of its last checkpoint record
    bool was_primary = false;  ///< its last writes were its own
    bool clean_shutdown = false;
    /// Former primary after a clean shutdown: end of the shutdown checkpoint's record, when pg_waldump could tell.
    std::optional<Lsn> checkpoint_end;
};

struct LeaderHistory {
    Timeline timeline;
    std::vector<HistoryEntry> entries;  ///< of the leader's current timeline, oldest first
};

enum class RewindReason {
    same_timeline,
    local_timeline_is_newer,
    position_before_switchpoint,
    position_after_switchpoint,
    shutdown_checkpoint_is_the_switchpoint,
    shutdown_checkpoint_end_differs,
    shutdown_checkpoint_end_unknown,
    timeline_not_in_history,
    position_unknown,
};
const char* to_string(RewindReason reason);

struct RewindNeed {
    /// Empty: cannot be told from what is known (timeline or position of one side is missing).
    std::optional<bool> needed;
    RewindReason reason = RewindReason::position_unknown;
    std::string why;  ///< a sentence with the numbers
};

RewindNeed needs_rewind(const LocalHistory& here, const LeaderHistory& leader);

/// What a stopped server's pg_control says of its history; nothing when it says too little.
std::optional<LocalHistory> local_history(const ControlData& control);

/// Whether the answer hangs on the end of the shutdown checkpoint's record, which only pg_waldump tells.
bool wants_checkpoint_end(const LocalHistory& here, const LeaderHistory& leader);

/// Where the record after the shutdown checkpoint at `checkpoint` begins, from pg_waldump's output of that record and
/// what follows. Nothing when the output does not show it.
std::optional<Lsn> checkpoint_end_of(std::string_view waldump_output, std::string_view waldump_errors, Lsn checkpoint);

}  // namespace pgkeel::postgres
