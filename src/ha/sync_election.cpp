#include "ha/sync_election.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::ha {

namespace {

bool is_member(const SyncKey& sync, const std::string& name) {
    return std::ranges::find(sync.members, name) != sync.members.end();
}

/// A voter that has no more WAL than the candidate vouches that it misses nothing which that voter has.
bool vouches(const Snapshot& s, const PeerStatus& voter, Timeline timeline, Lsn position, Instant since) {
    if (!voter.reachable || !voter.position || !voter.position_known || voter.asked < since) return false;
    if (!s.server.system_identifier.empty() && !voter.system_identifier.empty() &&
        voter.system_identifier != s.server.system_identifier)
        return false;
    if (voter.timeline && timeline && voter.timeline != timeline) return voter.timeline < timeline;
    return voter.position <= position;
}

}  // namespace

const SyncKey* binding_sync(const Snapshot& s) {
    if (s.settings.synchronous_mode == SynchronousMode::off || !s.view || !s.view->sync) return nullptr;
    return s.view->sync->leader.empty() ? nullptr : &*s.view->sync;
}

std::string why_not_elected(const Snapshot& s, const std::string& candidate, Timeline timeline, Lsn position,
                            Instant votes_since) {
    const SyncKey* sync = binding_sync(s);
    if (!sync || sync->leader == candidate) return {};
    const bool voter = is_member(*sync, candidate);
    const bool by_quorum = s.settings.synchronous_mode == SynchronousMode::quorum;
    if (sync->members.empty()) return fmt::format("only {} is known to have every commit", sync->leader);
    if (!voter && !by_quorum) return fmt::format("it is not a synchronous standby of {}", sync->leader);
    const int needed = sync->quorum + (voter ? 0 : 1);
    int votes = 0;
    std::string missing;
    for (const std::string& name : sync->members) {
        if (name == candidate) continue;
        // This node is asked by nobody, and knows its own position.
        bool counts = name == s.name && s.server.in_recovery && s.server.position() <= position;
        if (const auto peer = s.peers.find(name); peer != s.peers.end())
            counts = counts || vouches(s, peer->second, timeline, position, votes_since);
        if (counts)
            ++votes;
        else
            missing += (missing.empty() ? "" : ", ") + name;
    }
    if (votes >= needed) return {};
    return fmt::format(
        "{} of {} votes: an acknowledged commit may be missing here and on those who answered; no vote "
        "from {}",
        votes, needed, missing);
}

bool is_rival(const Snapshot& s, const std::string& name) {
    const SyncKey* sync = binding_sync(s);
    if (!sync || s.settings.synchronous_mode == SynchronousMode::quorum) return true;
    return name == sync->leader || is_member(*sync, name);
}

std::string why_not_successor(const Snapshot& s, const std::string& candidate, const PeerStatus& peer) {
    const SyncKey* sync = binding_sync(s);
    if (!sync) return {};
    const bool by_quorum = s.settings.synchronous_mode == SynchronousMode::quorum;
    if (!by_quorum && !is_member(*sync, candidate)) return "is not a synchronous standby";
    // It will have everything when this leader has stopped; what counts is whether enough others can be asked then.
    const auto answers = static_cast<int>(std::ranges::count_if(sync->members, [&](const std::string& name) {
        const auto known = s.peers.find(name);
        return name == candidate ? peer.reachable : known != s.peers.end() && known->second.reachable;
    }));
    if (answers > sync->quorum) return {};
    return fmt::format("would have {} of the {} votes it needs", answers, sync->quorum + 1);
}

}  // namespace pgkeel::ha
