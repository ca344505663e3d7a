#include "ha/sync_plan.hpp"

#include <algorithm>

namespace pgkeel::ha {

namespace {

using Names = std::set<std::string>;

Names joined(const Names& a, const Names& b) {
    Names out = a;
    out.insert(b.begin(), b.end());
    return out;
}

int missing(const SyncRule& rule, const Names& voters) {
    return static_cast<int>(joined(rule.names, voters).size()) - rule.count;
}

bool at_least_as_strict(const SyncVotes& next, const SyncVotes& now) {
    return std::ranges::includes(now.voters, next.voters) && next.quorum >= now.quorum;
}

/// May the key say this now?
bool may_vote(const SyncState& state, const SyncVotes& next) {
    if (next.voters.empty()) return true;
    if (state.others_unknown && !at_least_as_strict(next, state.votes)) return false;
    return std::ranges::all_of(state.rules, [&](const SyncRule& rule) { return overlap(rule, next); });
}

/// Votes under which the target's rule may be set: the loosest of those that the rules in force allow. Without any that
/// somebody could win, the leader alone.
SyncVotes votes_between(const SyncState& state, const SyncTarget& target) {
    SyncVotes best;
    Names common;
    std::ranges::set_intersection(state.votes.voters, target.votes.voters, std::inserter(common, common.end()));
    for (const Names& voters :
         {target.votes.voters, common, state.votes.voters, joined(state.votes.voters, target.votes.voters)}) {
        SyncVotes next{voters, std::max(0, missing(target.rule, voters))};
        for (const SyncRule& rule : state.rules) next.quorum = std::max(next.quorum, missing(rule, voters));
        if (state.others_unknown) next.quorum = std::max(next.quorum, state.votes.quorum);
        // Others than ours may read the key, and by priority they count no votes.
        if (!target.rule.any && next.quorum > 0) continue;
        if (next.quorum >= static_cast<int>(voters.size()) || !may_vote(state, next)) continue;
        if (best.voters.empty() || voters.size() - static_cast<std::size_t>(next.quorum) >
                                       best.voters.size() - static_cast<std::size_t>(best.quorum))
            best = next;
    }
    return best;
}

}  // namespace

bool overlap(const SyncRule& rule, const SyncVotes& votes) {
    if (votes.voters.empty()) return true;
    return votes.quorum >= missing(rule, votes.voters);
}

void SyncState::begin(SyncRule rule) {
    std::erase(rules, rule);
    rules.insert(rules.begin(), std::move(rule));
}

void SyncState::set(SyncRule rule) {
    std::erase(rules, rule);
    rules.push_back(std::move(rule));
}

void SyncState::confirm() {
    if (rules.empty()) return;
    rules.erase(rules.begin(), rules.end() - 1);
    others_unknown = false;
}

SyncStep next_sync_step(const SyncState& state, const SyncTarget& target) {
    const bool is_set = !state.rules.empty() && state.rules.back() == target.rule;
    if (is_set) {
        if (!state.confirmed()) return ConfirmNames{};
        if (state.votes != target.votes) return WriteVotes{target.votes};
        return std::monostate{};
    }
    if (overlap(target.rule, state.votes)) return SetNames{target.rule};
    if (may_vote(state, target.votes)) return WriteVotes{target.votes};
    return WriteVotes{votes_between(state, target)};
}

Confirmation confirmation(const SyncRule& rule, const std::vector<int>& senders,
                          const std::vector<ReplicationClient>& now, Lsn mark) {
    Confirmation result;
    Names have;
    for (const ReplicationClient& client : now) {
        if (client.flushed < mark) {
            if (std::ranges::count(senders, client.pid) != 0) result.stalled.push_back(client.pid);
        } else if (rule.names.contains(client.application_name)) {
            have.insert(client.application_name);
        }
    }
    // What nobody can have, nobody has to have: no votes go with such a rule.
    result.holds = static_cast<int>(have.size()) >= rule.count || rule.names == Names{impossible_standby};
    return result;
}

SyncKey succeed(const SyncKey& sync, const std::string& winner) {
    if (sync.leader.empty() || sync.leader == winner) return sync;
    SyncKey next = sync;
    next.leader = winner;
    // Without voters nobody but the last leader could be elected; an operator who forces another knows that.
    if (sync.members.empty()) return next;
    std::erase(next.members, winner);
    next.members.push_back(sync.leader);
    std::ranges::sort(next.members);
    return next;
}

SyncRule rule_for(const SyncVotes& votes, bool any, bool strict) {
    SyncRule rule{votes.voters, std::max(0, static_cast<int>(votes.voters.size()) - votes.quorum), any};
    if (rule.count == 0) rule.names.clear();
    if (rule.names.empty() && strict) {
        rule.names = {impossible_standby};
        rule.count = 1;
    }
    if (rule.names.empty()) rule.any = false;
    return rule;
}

SyncVotes votes_of(const SyncKey& sync) {
    return {{sync.members.begin(), sync.members.end()}, sync.quorum};
}

}  // namespace pgkeel::ha
