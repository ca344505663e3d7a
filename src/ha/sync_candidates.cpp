#include "ha/sync_candidates.hpp"

#include <algorithm>
#include <tuple>

namespace pgkeel::ha {

using namespace std::chrono_literals;

namespace {

struct Candidate {
    std::string name;
    bool nofailover = false;
    int priority = 1;
    bool is_synchronous = false;
    Lsn position;
};

/// What synchronous_commit makes a commit wait for.
Lsn position_of(const ReplicationClient& client, const std::string& synchronous_commit) {
    if (synchronous_commit == "remote_apply") return client.replayed;
    if (synchronous_commit == "remote_write") return client.written;
    return client.flushed;
}

bool is_eligible(const Snapshot& s, const Member& member) {
    if (member.name == s.name || member.tags.nosync) return false;
    if (member.state == "stopping" || member.state == "stopped") return false;
    const std::string& upstream = member.tags.replicatefrom;
    return upstream.empty() || upstream == s.name || !s.view->member(upstream);
}

std::vector<Candidate> candidates(const Snapshot& s, const std::set<std::string>& synchronous,
                                  const SyncMemory& memory) {
    std::vector<Candidate> found;
    for (const Member& member : s.view->members) {
        const auto last = memory.streamed_at.find(member.name);
        if (last == memory.streamed_at.end() || !is_eligible(s, member)) continue;
        const bool is_synchronous = synchronous.contains(member.name);
        const Duration away = s.now - last->second;
        if (away > (is_synchronous ? sync_patience(s.settings) : 0s)) continue;
        Lsn position{};
        for (const ReplicationClient& client : s.server.replication)
            if (client.application_name == member.name)
                position = std::max(position, position_of(client, s.server.synchronous_commit));
        found.push_back({member.name, member.tags.nofailover, member.tags.sync_priority, is_synchronous, position});
    }
    std::ranges::sort(found, [](const Candidate& a, const Candidate& b) {
        return std::tuple(a.nofailover, -a.priority, !a.is_synchronous, b.position, a.name) <
               std::tuple(b.nofailover, -b.priority, !b.is_synchronous, a.position, b.name);
    });
    return found;
}

void drop_those_behind(const Snapshot& s, std::vector<Candidate>& found) {
    const std::int64_t lag_max = s.settings.maximum_lag_on_syncnode_bytes;
    if (lag_max < 0 || found.empty()) return;
    Lsn newest = found.size() > 1 ? Lsn{} : s.server.written;
    for (const Candidate& candidate : found) newest = std::max(newest, candidate.position);
    std::erase_if(found, [&](const Candidate& candidate) {
        return lag_bytes(newest, candidate.position) > static_cast<std::uint64_t>(lag_max);
    });
}

}  // namespace

Duration sync_patience(const ClusterSettings& settings) {
    return std::clamp<Duration>(settings.ttl / 10, 500ms, 2s);
}

Duration silence_max(const ClusterSettings& settings) {
    return std::max<Duration>(settings.ttl - sync_patience(settings), 2s);
}

void remember_standbys(const Snapshot& seen, SyncMemory& memory) {
    for (const ReplicationClient& client : seen.server.replication) {
        if (client.state != "streaming") continue;
        const auto [known, is_new] = memory.expected.try_emplace(client.application_name);
        SyncMemory::Expected& expected = known->second;
        const ReplicationClient& last = expected.last;
        const bool has_all = client.flushed >= expected.target;
        const bool is_another = client.pid != last.pid;
        if (is_new || is_another || has_all || client.written > last.written || client.flushed > last.flushed ||
            client.replayed > last.replayed)
            expected.heard_at = seen.now;
        if (is_new || has_all) expected.target = seen.server.written;
        expected.last = client;
        if (seen.now - expected.heard_at <= silence_max(seen.settings))
            memory.streamed_at[client.application_name] = seen.now;
    }
    std::erase_if(memory.streamed_at, [&](const auto& known) { return seen.now - known.second > 60s; });
    std::erase_if(memory.expected, [&](const auto& known) {
        return std::ranges::none_of(seen.server.replication, [&](const ReplicationClient& client) {
            return client.state == "streaming" && client.application_name == known.first;
        });
    });
}

SyncWish sync_wish(const Snapshot& s, const SyncState& state, const SyncMemory& memory) {
    const bool by_quorum = s.settings.synchronous_mode == SynchronousMode::quorum;
    const int wanted = static_cast<int>(std::max<std::uint32_t>(s.settings.synchronous_node_count, 1));
    std::set<std::string> synchronous = state.votes.voters;
    if (!state.rules.empty()) synchronous.insert(state.rules.back().names.begin(), state.rules.back().names.end());
    std::vector<Candidate> found = candidates(s, synchronous, memory);
    drop_those_behind(s, found);

    SyncWish wish;
    std::set<std::string> names;
    for (const Candidate& candidate : found) {
        const bool enough = static_cast<int>(names.size()) >= wanted;
        if (enough && (!by_quorum || candidate.nofailover)) continue;
        names.insert(candidate.name);
    }
    if (!names.empty()) {
        const int size = static_cast<int>(names.size());
        const int count = std::min(wanted, size);
        wish.target = {{names, count, by_quorum}, {names, size - count}};
        return wish;
    }
    const bool strict = s.settings.synchronous_mode_strict;
    const bool still_early = s.now - memory.leading_since < sync_patience(s.settings);
    wish.nobody_left = strict && !still_early;
    if ((strict || still_early) && !state.votes.voters.empty()) {
        wish.target = {state.rules.empty() ? rule_for(state.votes, by_quorum, strict) : state.rules.back(),
                       state.votes};
        return wish;
    }
    if (strict) wish.target.rule = {{impossible_standby}, 1, by_quorum};
    return wish;
}

}  // namespace pgkeel::ha
