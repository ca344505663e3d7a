#pragma once
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"
#include "base/sync_rule.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// How the set of synchronous standbys is changed without a moment in which an acknowledged commit could be missing on
// somebody who may be elected (docs/decisions/0008-synchronous.md). Pure.
//
// A commit is acknowledged when `count` of a rule's names have it. A standby is elected with the votes of `quorum`
// other voters that have no more WAL than it. The two must always have a node in common, whichever of the rules that
// may still be in force acknowledged the commit. So stricter writes come first, weaker writes last, looser elections
// last.

namespace pgkeel::ha {

/// What the key `sync` allows besides its leader, who has every commit itself.
struct SyncVotes {
    std::set<std::string> voters;
    int quorum = 0;  ///< votes that a candidate needs besides its own

    bool operator==(const SyncVotes&) const = default;
};

/// Where the change stands.
struct SyncState {
    SyncVotes votes;  ///< as etcd has them
    /// Rules under which a commit may have been acknowledged that is not yet where the newest one wants it; the newest
    /// is the last. One: it is confirmed.
    std::vector<SyncRule> rules;
    /// Rules that this process knows nothing of may be in force too: it has not set any, or not confirmed one yet.
    bool others_unknown = true;

    bool confirmed() const { return rules.size() == 1 && !others_unknown; }
    /// synchronous_standby_names is about to be set to this: it may be in force from now on.
    void begin(SyncRule rule);
    /// It was set.
    void set(SyncRule rule);
    /// The newest rule is the only one, and holds for everything so far.
    void confirm();
};

/// Where the change is to end.
struct SyncTarget {
    SyncRule rule;
    SyncVotes votes;
};

struct SetNames {
    SyncRule rule;
};  ///< write synchronous_standby_names and reload
struct ConfirmNames {};  ///< wait until no other rule can acknowledge anything, and the newest one holds for all so far
struct WriteVotes {
    SyncVotes votes;
};  ///< write the key `sync`
using SyncStep = std::variant<std::monostate, SetNames, ConfirmNames, WriteVotes>;

/// The next single step towards `target`; none: it is reached.
SyncStep next_sync_step(const SyncState& state, const SyncTarget& target);

/// Every commit that `rule` acknowledges is on at least one of any electing set under `votes`.
bool overlap(const SyncRule& rule, const SyncVotes& votes);

/// Whether the walsenders show that a rule is in force alone.
struct Confirmation {
    std::vector<int> stalled;  ///< processes that may still work under an older rule
    bool holds = false;        ///< `count` of the rule's names have everything up to the mark
    bool done() const { return stalled.empty() && holds; }
};
/// \param senders  wal senders that were there when the rule was set, by process; \param now  as they are now
/// \param mark     a position written after the rule was set: who has it took the rule before
Confirmation confirmation(const SyncRule& rule, const std::vector<int>& senders,
                          const std::vector<ReplicationClient>& now, Lsn mark);

/// The key `sync` after `winner` has taken the lease: it and the last leader have changed places.
SyncKey succeed(const SyncKey& sync, const std::string& winner);
SyncVotes votes_of(const SyncKey& sync);
/// The rule that goes with these votes, for a leader that starts or is promoted. `strict`: never an empty one.
SyncRule rule_for(const SyncVotes& votes, bool any, bool strict);

}  // namespace pgkeel::ha
