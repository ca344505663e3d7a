#pragma once
#include "ha/decision.hpp"
#include "ha/snapshot.hpp"

namespace pgkeel::ha {

/// No leader, or a dead one: whether this node goes for the lease. Returns TakeLease, ProbePeers, Demote or Wait.
Decision decide_race(const Snapshot& seen);

/// Why `peer` cannot become primary now; empty when it can. `reference`: the position the candidate is measured
/// against.
std::string why_not_promotable(const Snapshot& seen, const Member& member, const PeerStatus* peer, Lsn reference);

/// The peers whose answer is missing, older than `age_max`, or to a question from before `asked_since`.
std::vector<std::string> peers_to_ask(const Snapshot& seen, const std::set<std::string>& names, Duration age_max,
                                      Instant asked_since = {});

/// Whether some other node could take over from a leader that is healthy or just gone; the text says which, or why
/// none.
struct Succession {
    bool possible = false;
    std::string best;
    std::string why;
};
Succession who_could_succeed(const Snapshot& seen);

}  // namespace pgkeel::ha
