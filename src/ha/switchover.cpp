#include "ha/switchover.hpp"

#include "ha/election.hpp"
#include "ha/sync_election.hpp"

#include <fmt/format.h>

#include <charconv>

namespace pgkeel::ha {

using namespace std::chrono_literals;

namespace {

/// Reads exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
    if (error != std::errc{} || end != text.data() + digits) return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, char expected) {
    if (text.empty() || text.front() != expected) return false;
    text.remove_prefix(1);
    return true;
}

/// "Z", "+01", "+0100", "+01:00"
std::optional<std::chrono::minutes> take_zone(std::string_view& text) {
    if (take(text, 'Z') || take(text, 'z')) return 0min;
    const bool west = !text.empty() && text.front() == '-';
    if (!take(text, '+') && !take(text, '-')) return std::nullopt;
    const auto hours = take_number(text, 2);
    if (!hours || *hours > 14) return std::nullopt;
    std::optional<int> minutes = 0;
    if (!text.empty()) {
        take(text, ':');
        minutes = take_number(text, 2);
        if (!minutes || *minutes > 59) return std::nullopt;
    }
    const auto offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
    return west ? -offset : std::chrono::minutes(offset);
}

Decision clear(std::string text, std::vector<std::string> notes = {}) {
    return {ClearFailover{}, Reason::switchover_impossible, std::move(text), std::move(notes)};
}

}  // namespace

std::optional<WallTime> parse_iso_time(std::string_view text) {
    const auto year = take_number(text, 4);
    // Nanoseconds in 64 bits end in 2262.
    if (!year || *year < 1970 || *year > 2200 || !take(text, '-')) return std::nullopt;
    const auto month = take_number(text, 2);
    if (!month || !take(text, '-')) return std::nullopt;
    const auto day = take_number(text, 2);
    if (!day || !(take(text, 'T') || take(text, 't') || take(text, ' '))) return std::nullopt;
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ':')) return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute) return std::nullopt;
    std::optional<int> second = 0;
    std::chrono::microseconds fraction{0};
    if (take(text, ':')) {
        second = take_number(text, 2);
        if (!second) return std::nullopt;
        if (take(text, '.') || take(text, ',')) {
            std::int64_t scale = 100000;
            std::size_t digits = 0;
            for (; !text.empty() && text.front() >= '0' && text.front() <= '9';
                 text.remove_prefix(1), ++digits, scale /= 10)
                fraction += std::chrono::microseconds((text.front() - '0') * scale);
            if (digits == 0 || digits > 9) return std::nullopt;
        }
    }
    take(text, ' ');
    const auto zone = take_zone(text);
    if (!zone || !text.empty()) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    const std::chrono::system_clock::time_point midnight = std::chrono::sys_days(date);
    return midnight + std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second) +
           fraction - *zone;
}

const FailoverRequest* requested_failover(const ClusterView& view) {
    const auto& request = view.failover;
    return request && !(request->leader.empty() && request->candidate.empty()) ? &*request : nullptr;
}

Instant next_scheduled(const Snapshot& seen) {
    const FailoverRequest* request = seen.view ? requested_failover(*seen.view) : nullptr;
    if (!request || seen.settings.pause) return Instant::max();
    const auto due = parse_iso_time(request->scheduled_at);
    if (!due || *due <= seen.wall_now) return Instant::max();
    return seen.now + std::chrono::duration_cast<Duration>(*due - seen.wall_now);
}

std::optional<Decision> decide_requested_failover(const Snapshot& seen) {
    const FailoverRequest* asked = seen.view ? requested_failover(*seen.view) : nullptr;
    if (!asked) return std::nullopt;
    const FailoverRequest& request = *asked;
    const std::string what = request.is_switchover() ? "switchover" : "failover";

    if (!request.scheduled_at.empty()) {
        const auto due = parse_iso_time(request.scheduled_at);
        if (!due) return clear(fmt::format("cleared a {} whose time '{}' cannot be read", what, request.scheduled_at));
        if (seen.settings.pause || seen.wall_now < *due) return std::nullopt;
        if (seen.wall_now - *due > std::max<Duration>(seen.settings.loop_wait, 10s))
            return clear(fmt::format("cleared a {} that was due at {} and is too late", what, request.scheduled_at));
    }
    if (request.is_switchover() && request.leader != seen.name)
        return clear(fmt::format("cleared a switchover away from {}: the leader is {}", request.leader, seen.name));
    if (request.candidate == seen.name)
        return clear(fmt::format("cleared a {} to {}, which is the leader", what, seen.name));
    if (seen.settings.pause && request.candidate.empty())
        return clear(fmt::format("cleared a {}: in a paused cluster it needs a candidate", what));

    std::set<std::string> names;
    for (const Member& member : seen.view->members)
        if (member.name != seen.name && (request.candidate.empty() || member.name == request.candidate))
            names.insert(member.name);
    std::set<std::string> to_ask = names;  // and those whose votes a candidate will need
    if (const SyncKey* sync = binding_sync(seen)) to_ask.insert(sync->members.begin(), sync->members.end());
    to_ask.erase(seen.name);
    if (auto unknown = peers_to_ask(seen, to_ask, 1s); !unknown.empty())
        return Decision{ProbePeers{std::move(unknown)}, Reason::peers_unknown,
                        fmt::format("{} requested: asking the candidates", what)};

    std::vector<std::string> notes;
    Lsn best_position{};
    int best_priority = 0;
    std::string best;
    for (const std::string& name : names) {
        const PeerStatus& peer = seen.peers.at(name);
        std::string why = why_not_promotable(seen, *seen.view->member(name), &peer, seen.server.position());
        if (why.empty() && request.is_switchover()) why = why_not_successor(seen, name, peer);
        if (!why.empty()) {
            notes.push_back(fmt::format("Member {} {}", name, why));
        } else if (best.empty() || peer.tags.failover_priority > best_priority ||
                   (peer.tags.failover_priority == best_priority && peer.position > best_position)) {
            best = name;
            best_position = peer.position;
            best_priority = peer.tags.failover_priority;
        }
    }
    if (best.empty()) {
        if (names.empty())
            notes.push_back(request.candidate.empty() ? "there is no other member"
                                                      : "there is no member " + request.candidate);
        return clear(fmt::format("cleared a {}: no healthy members found", what), std::move(notes));
    }
    return Decision{Demote{Demotion::graceful, best}, Reason::switchover_requested,
                    fmt::format("{}: demoting myself for {}", what, best), std::move(notes)};
}

}  // namespace pgkeel::ha
