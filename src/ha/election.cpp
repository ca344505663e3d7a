#include "ha/election.hpp"

#include "ha/switchover.hpp"
#include "ha/sync_election.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::ha {

using namespace std::chrono_literals;

namespace {

/// How old a peer's answer may be when it decides an election.
constexpr Duration answer_age_max = 2s;

std::set<std::string> other_members(const Snapshot& s) {
    std::set<std::string> names = s.race_members;
    for (const Member& member : s.view->members) names.insert(member.name);
    names.erase(s.name);
    return names;
}

/// A leader without etcd asks those whom the key `failsafe` names, and nobody else, before it goes on.
bool may_take_over_by_failsafe(const ClusterView& view, const std::string& name) {
    return !view.failsafe || view.failsafe->empty() || view.failsafe->contains(name);
}

const PeerStatus* answer_of(const Snapshot& s, const std::string& name) {
    const auto found = s.peers.find(name);
    return found == s.peers.end() ? nullptr : &found->second;
}

/// The request for a handover that binds this race. A failover does, and a switchover once its leader has made way,
/// having looked whether the candidate has what it needs. One whose leader was lost before is but a wish: the candidate
/// may have stayed behind meanwhile. (In a paused cluster it is the only word there is.)
const FailoverRequest* binding_request(const Snapshot& s) {
    const FailoverRequest* request = requested_failover(*s.view);
    if (!request) return nullptr;
    const bool leader_made_way = s.view->status.heartbeat == 0 || s.view->status.released_epoch != 0;
    if (request->is_switchover() && !leader_made_way && !s.settings.pause) return nullptr;
    if (request->scheduled_at.empty()) return request;
    const auto due = parse_iso_time(request->scheduled_at);
    return due && *due <= s.wall_now && leader_made_way && !s.settings.pause ? request : nullptr;
}

Decision stand_by(Reason reason, std::string text, std::vector<std::string> notes, Instant look_again) {
    return {Wait{}, reason, std::move(text), std::move(notes), look_again};
}

Decision not_the_healthiest(std::vector<std::string> notes, Instant look_again) {
    return stand_by(Reason::not_the_healthiest, "following a different leader because I am not the healthiest node",
                    std::move(notes), look_again);
}

Decision race_of_a_primary(const Snapshot& s, const Takeover& takeover) {
    const Timeline cluster_timeline = s.view->timeline();
    if (s.settings.pause) {
        if (takeover.allowed) return {TakeLease{}, Reason::lease_is_ours, "acquired session lock as a leader"};
        return stand_by(Reason::paused, "continue to run as primary without lock", {takeover.why}, takeover.allowed_at);
    }
    if (s.server.timeline < cluster_timeline)
        return {Demote{Demotion::immediate_nolock, {}}, Reason::no_right_to_lead,
                fmt::format("demoting self: my timeline {} is older than the cluster's {}", s.server.timeline.id,
                            cluster_timeline.id)};
    if (!takeover.allowed)
        return {Demote{Demotion::immediate_nolock, {}}, Reason::no_right_to_lead,
                "demoting self because i do not have the lock and i was a leader: " + takeover.why};
    if (const SyncKey* sync = binding_sync(s); sync && sync->leader != s.name)
        return {Demote{Demotion::immediate_nolock, {}}, Reason::no_right_to_lead,
                fmt::format("demoting self: I do not have the lock, and commits may be on {} that are not here",
                            sync->leader)};
    return {TakeLease{}, Reason::lease_is_ours, "acquired session lock as a leader"};
}

/// Compares this node with every other that answers. Empty `why` means: nobody is better.
struct Comparison {
    bool better_exists = false;
    std::vector<std::string> notes;
};

Comparison compare_with_peers(const Snapshot& s, const std::set<std::string>& others) {
    Comparison result;
    const Lsn mine = s.server.position();
    for (const std::string& name : others) {
        const PeerStatus* peer = answer_of(s, name);
        if (!peer || !peer->reachable) continue;
        if (!peer->system_identifier.empty() && !s.server.system_identifier.empty() &&
            peer->system_identifier != s.server.system_identifier) {
            result.notes.push_back(fmt::format("{} has another system identifier and does not count", name));
            continue;
        }
        if (!peer->in_recovery) {
            result.better_exists = true;
            result.notes.push_back(fmt::format("Primary ({}) is still alive", name));
            continue;
        }
        if (peer->tags.nofailover || !is_rival(s, name)) continue;
        // Who stands back itself is not waited for: that would be waiting for nobody.
        if (!may_take_over_by_failsafe(*s.view, name)) {
            result.notes.push_back(fmt::format("{} is not named by the key failsafe and does not count", name));
            continue;
        }
        if (peer->history_diverged) {
            result.notes.push_back(fmt::format("{} has to be rewound and does not count", name));
            continue;
        }
        const bool both_known = peer->timeline && s.server.timeline;
        // A position counts only on the newest timeline: what an older one holds beyond the fork is not the cluster's
        // any more. Without this rule two nodes could each find the other better, and nobody would lead.
        if (both_known && peer->timeline < s.server.timeline) continue;
        if (both_known && peer->timeline > s.server.timeline) {
            result.better_exists = true;
            result.notes.push_back(fmt::format("Timeline {} of {} is newer than my timeline {}", peer->timeline.id,
                                               name, s.server.timeline.id));
        } else if (peer->position > mine) {
            result.better_exists = true;
            result.notes.push_back(fmt::format("Wal position of {} is ahead of my wal position", name));
        } else if (peer->position == mine && peer->tags.failover_priority > s.tags.failover_priority) {
            result.better_exists = true;
            result.notes.push_back(
                fmt::format("{} has equally tolerable WAL position and priority {}, while this node has priority {}",
                            name, peer->tags.failover_priority, s.tags.failover_priority));
        }
    }
    return result;
}

/// The last leader had more WAL than this node, and somebody does not answer: it may be the one who has it, starting as
/// we are (a cluster whose nodes are all started again). It is worth a while of waiting not to lose what was
/// acknowledged.
std::optional<Decision> wait_for_who_has_more(const Snapshot& s, const std::set<std::string>& others) {
    if (binding_sync(s)) return std::nullopt;  // then it is known who has all that was acknowledged
    const Lsn known = s.view->status.optime;
    const Instant until = s.leaderless_since + std::clamp<Duration>(s.settings.ttl, 5s, 10s);
    if (s.server.position() >= known || s.now >= until) return std::nullopt;
    for (const std::string& name : others)
        if (const PeerStatus* peer = answer_of(s, name); !peer || !peer->reachable)
            return stand_by(
                Reason::not_the_healthiest,
                fmt::format(
                    "not racing for the lock for {:.1f} s: the last leader had {} more bytes, and {} may have them",
                    seconds(until - s.now), lag_bytes(known, s.server.position()), name),
                {}, std::min(until, s.now + 500ms));
    return std::nullopt;
}

/// primary_race_backoff: WAL that comes although the lease has ended comes from a primary that is at work.
std::optional<Decision> back_off(const Snapshot& s) {
    if (s.settings.standby_cluster || s.leaderless_since == Instant{}) return std::nullopt;
    const Instant until = s.leaderless_since + s.settings.primary_race_backoff;
    if (s.now >= until || s.now - s.position_moved_at > s.settings.loop_wait) return std::nullopt;
    return stand_by(Reason::yielding,
                    fmt::format("not racing for the lock for {:.1f} s at most: my wal position moved since last heart "
                                "beat loop",
                                seconds(until - s.now)),
                    {}, std::min(until, s.now + 1s));
}

/// A switchover whose leader was lost, which is also what `patronictl failover` writes when the leader does not answer:
/// its candidate goes first for a while if it has as much as this node.
std::optional<Decision> wait_for_the_candidate(const Snapshot& s) {
    const FailoverRequest* wish = requested_failover(*s.view);
    if (!wish || binding_request(s) || !wish->scheduled_at.empty() || wish->candidate == s.name) return std::nullopt;
    const Member* member = s.view->member(wish->candidate);
    const PeerStatus* peer = answer_of(s, wish->candidate);
    if (!member || !why_not_promotable(s, *member, peer, s.view->status.optime).empty()) return std::nullopt;
    const Instant until = s.leaderless_since + std::clamp<Duration>(s.settings.ttl, 5s, 10s);
    if (s.now >= until || peer->timeline < s.server.timeline || peer->position < s.server.position())
        return std::nullopt;
    return stand_by(Reason::not_the_healthiest,
                    fmt::format("following a different leader: {} was chosen and is as good", wish->candidate), {},
                    std::min(until, s.now + 500ms));
}

/// Somebody who can write goes first for a while. Where nobody can, one leads who can be read from, and repaired.
std::optional<Decision> wait_for_who_can_write(const Snapshot& s) {
    const Instant until = s.leaderless_since + std::clamp<Duration>(s.settings.ttl * 2, 10s, 60s);
    if (s.cannot_write.empty() || s.settings.pause || s.now >= until) return std::nullopt;
    const Succession other = who_could_succeed(s);
    if (!other.possible) return std::nullopt;
    return stand_by(Reason::cannot_write, fmt::format("not racing for the lock: {}; {}", s.cannot_write, other.why), {},
                    std::min(until, s.now + 1s));
}

/// The cluster went on from an earlier point of that timeline.
bool has_left_history(const ClusterView& view, Timeline timeline, Lsn position) {
    const auto ended = std::ranges::find(view.history, timeline, &HistoryEntry::timeline);
    return ended != view.history.end() && ended->lsn < position;
}

}  // namespace

std::vector<std::string> peers_to_ask(const Snapshot& seen, const std::set<std::string>& names, Duration age_max,
                                      Instant asked_since) {
    std::vector<std::string> unknown;
    for (const std::string& name : names) {
        if (!seen.view || !seen.view->member(name)) continue;  // its key is gone: nobody to ask
        const PeerStatus* peer = answer_of(seen, name);
        if (!peer || seen.now - peer->seen > age_max || peer->asked < asked_since) unknown.push_back(name);
    }
    return unknown;
}

std::string why_not_promotable(const Snapshot& seen, const Member& member, const PeerStatus* peer, Lsn reference) {
    if (!peer || !peer->reachable) return "is not reachable";
    if (!peer->in_recovery) return "is not a standby";
    if (peer->tags.nofailover || member.tags.nofailover) return "is not allowed to promote";
    if (peer->tags.nostream || member.tags.nostream) return "is tagged nostream";
    if (seen.view && !may_take_over_by_failsafe(*seen.view, member.name)) return "is not named by the key failsafe";
    if (peer->watchdog_failed) return "has no working watchdog";
    if (peer->cannot_write) return "cannot write to its disk";
    const bool has_left = seen.view && has_left_history(*seen.view, peer->timeline, peer->position);
    if (peer->history_diverged || has_left) return "has to be rewound first";
    if (!seen.server.system_identifier.empty() && !peer->system_identifier.empty() &&
        peer->system_identifier != seen.server.system_identifier)
        return fmt::format("has the system identifier {}", peer->system_identifier);
    const std::uint64_t lag = lag_bytes(reference, peer->position);
    if (lag > seen.settings.maximum_lag_on_failover_bytes)
        return fmt::format("exceeds maximum replication lag: {} bytes behind, {} are allowed", lag,
                           seen.settings.maximum_lag_on_failover_bytes);
    const Timeline cluster_timeline = seen.view ? seen.view->timeline() : Timeline{};
    if (seen.settings.check_timeline && peer->timeline < cluster_timeline)
        return fmt::format("is on timeline {}, the cluster is on {}", peer->timeline.id, cluster_timeline.id);
    return {};
}

Succession who_could_succeed(const Snapshot& seen) {
    Succession result;
    if (!seen.view) return {false, {}, "etcd does not answer"};
    const Lsn reference = std::max(seen.view->status.optime, seen.server.position());
    const auto why_not = [&](const Member& member, const PeerStatus* peer) {
        std::string why = why_not_promotable(seen, member, peer, reference);
        return why.empty() ? why_not_successor(seen, member.name, *peer) : why;
    };
    Lsn best{};
    std::string reasons;
    for (const Member& member : seen.view->members) {
        if (member.name == seen.name) continue;
        const PeerStatus* peer = answer_of(seen, member.name);
        const std::string why = why_not(member, peer);
        if (!why.empty()) {
            reasons += fmt::format("{}{} {}", reasons.empty() ? "" : "; ", member.name, why);
        } else if (!result.possible || peer->position > best) {
            result = {
                true, member.name,
                fmt::format("{} could take over, {} bytes behind", member.name, lag_bytes(reference, peer->position))};
            best = peer->position;
        }
    }
    if (!result.possible) result.why = reasons.empty() ? "there is no other member" : reasons;
    return result;
}

Decision decide_race(const Snapshot& s) {
    const ClusterView& view = *s.view;
    const Takeover takeover = may_take_lease(view, s.heartbeat, s.name, s.settings, s.now);
    if (s.server.is_primary()) return race_of_a_primary(s, takeover);
    if (!s.server.accepts_connections)
        return stand_by(Reason::server_starting, "waiting for postgres to answer", {}, s.now + 500ms);
    if (s.reinit_requested)
        return stand_by(Reason::reinit_requested, "waiting for a leader to reinitialize from", {}, Instant::max());

    const FailoverRequest* request = binding_request(s);
    const bool chosen = request && request->candidate == s.name;
    if (s.settings.pause && !chosen)
        return stand_by(Reason::paused,
                        "no action. I am a secondary, and nobody is promoted while the cluster is paused", {},
                        Instant::max());
    if (!s.unfit_to_lead.empty() && !s.settings.pause && !s.settings.standby_cluster)
        return stand_by(Reason::not_fenced, "not racing for the lock: " + s.unfit_to_lead, {}, s.now + 1s);
    if (s.tags.nofailover)
        return stand_by(Reason::not_allowed_to_promote,
                        "following a different leader because I am not allowed to promote", {}, Instant::max());
    if (s.tags.nostream && !chosen)
        return stand_by(Reason::not_allowed_to_promote,
                        "not racing for the lock: I am tagged nostream, and have what the archive has", {},
                        Instant::max());
    if (!may_take_over_by_failsafe(view, s.name))
        return stand_by(Reason::not_allowed_to_promote,
                        "not racing for the lock: the key failsafe does not name me, so the last leader may go on "
                        "without asking me",
                        {}, Instant::max());
    // What the others acknowledged may be nowhere else than on those that the key `sync` names.
    const bool forced = chosen && !request->is_switchover();  // by an operator who accepts what is lost
    if (!forced && !is_rival(s, s.name))
        return stand_by(Reason::not_allowed_to_promote,
                        fmt::format("not racing for the lock: I am not a synchronous standby of {}", view.sync->leader),
                        {}, Instant::max());
    // In a standby cluster whoever leads is rewound to the remote primary.
    if (s.history_diverged && !s.settings.standby_cluster)
        return stand_by(Reason::not_allowed_to_promote, "not racing for the lock: my history has to be rewound first",
                        {}, Instant::max());

    const std::set<std::string> others = other_members(s);
    // What the others said while the last leader could still acknowledge something is no vote.
    const Instant votes_since = binding_sync(s) && takeover.allowed ? takeover.silent_since : Instant{};
    if (auto names = peers_to_ask(s, others, answer_age_max, votes_since); !names.empty())
        return {ProbePeers{std::move(names)},
                Reason::peers_unknown,
                "no leader: asking the other members",
                {},
                takeover.allowed_at};
    if (auto wait = wait_for_who_can_write(s); wait && !chosen) return std::move(*wait);
    if (!takeover.allowed)
        return stand_by(Reason::waiting_for_race, "waiting for the last leader's lease to end: " + takeover.why, {},
                        std::min(takeover.allowed_at, s.now + 1s));
    if (s.now < s.pre_promote_backoff)
        return stand_by(Reason::yielding, "not racing for the lock: pre_promote failed here", {},
                        s.pre_promote_backoff);
    if (s.now < s.yield_until && !chosen)
        return stand_by(Reason::yielding, "released the leader key; waiting for another leader", {}, s.yield_until);

    if (auto wait = back_off(s); wait && !chosen) return std::move(*wait);

    const Instant soon = s.now + 500ms;
    std::vector<std::string> notes;
    if (request && !chosen) {
        if (request->is_switchover() && request->leader == s.name && s.now < s.yield_until + s.settings.ttl &&
            request->candidate.empty())
            return stand_by(Reason::yielding, "following a different leader: a switchover away from me was requested",
                            {}, soon);
        if (!request->candidate.empty()) {
            const Member* member = view.member(request->candidate);
            const PeerStatus* peer = answer_of(s, request->candidate);
            std::string why = member ? why_not_promotable(s, *member, peer, Lsn{}) : "is not a member";
            if (why.empty() && request->is_switchover()) {
                why = why_not_elected(s, request->candidate, peer->timeline, peer->position, votes_since);
                if (!why.empty()) why = "cannot be elected: " + why;
            }
            if (why.empty())
                return stand_by(
                    Reason::not_the_healthiest,
                    fmt::format("following a different leader: {} was chosen and is healthy", request->candidate), {},
                    soon);
            notes.push_back(fmt::format("the chosen candidate {} {}", request->candidate, why));
        }
    }

    if (!chosen) {
        const std::uint64_t lag = lag_bytes(view.status.optime, s.server.position());
        if (lag > s.settings.maximum_lag_on_failover_bytes) {
            notes.push_back(
                fmt::format("My wal position exceeds maximum replication lag: {} bytes behind, {} are allowed", lag,
                            s.settings.maximum_lag_on_failover_bytes));
            return not_the_healthiest(std::move(notes), soon);
        }
        if (s.settings.check_timeline && !s.settings.standby_cluster && s.server.timeline < view.timeline()) {
            notes.push_back(
                fmt::format("My timeline {} is older than the cluster's {}", s.server.timeline.id, view.timeline().id));
            return not_the_healthiest(std::move(notes), soon);
        }
        Comparison comparison = compare_with_peers(s, others);
        notes.insert(notes.end(), comparison.notes.begin(), comparison.notes.end());
        if (comparison.better_exists) return not_the_healthiest(std::move(notes), soon);
        if (auto wait = wait_for_the_candidate(s)) return std::move(*wait);
        if (!s.settings.standby_cluster)  // there the remote primary has everything
            if (auto wait = wait_for_who_has_more(s, others)) return std::move(*wait);
    } else {
        for (const std::string& name : others)
            if (const PeerStatus* peer = answer_of(s, name); peer && peer->reachable && !peer->in_recovery) {
                notes.push_back(fmt::format("Primary ({}) is still alive", name));
                return not_the_healthiest(std::move(notes), soon);
            }
    }
    if (const std::string why =
            forced ? "" : why_not_elected(s, s.name, s.server.timeline, s.server.position(), votes_since);
        !why.empty()) {
        notes.push_back("not racing for the lock: " + why);
        return not_the_healthiest(std::move(notes), soon);
    }
    return {TakeLease{}, chosen ? Reason::manual_candidate : Reason::election_won,
            s.settings.standby_cluster ? "promoted self to a standby leader by acquiring session lock"
                                       : "promoted self to leader by acquiring session lock",
            std::move(notes)};
}

}  // namespace pgkeel::ha
