#include "agent/flight_recorder.hpp"

#include "ha/election.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <boost/json/array.hpp>

namespace pgkeel::agent {

namespace json = boost::json;

std::string iso_time(WallTime at) {
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count() % 1000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03d}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(at)),
                       milliseconds);
}

namespace {

double age(Instant now, Instant then) {
    return then == Instant{} ? -1.0 : static_cast<int>(seconds(now - then) * 10) / 10.0;
}

/// What the rules looked at, as far as a person wants to know it.
json::object facts_of(const ha::Snapshot& seen) {
    json::object facts;
    facts["etcd"] = seen.view ? "answers" : "does not answer";
    if (seen.view) {
        facts["leader_key"] = seen.view->leader ? json::value(seen.view->leader->name) : json::value(nullptr);
        if (seen.view->leader) facts["epoch"] = seen.view->leader->create_revision;
        facts["last_known_leader_lsn"] = to_string(seen.view->status.optime);
        facts["cluster_timeline"] = seen.view->timeline().id;
    }
    if (seen.heartbeat.ever()) facts["heartbeat_age_s"] = age(seen.now, seen.heartbeat.changed_at());
    if (seen.lease) {
        facts["lease_renewed_s_ago"] = age(seen.now, seen.lease->renewed_at);
        facts["lease_left_s"] = static_cast<int>(seconds(seen.lease->deadline() - seen.now) * 10) / 10.0;
    }
    facts["postgres"] = !seen.server.running()             ? "not running"
                        : !seen.server.accepts_connections ? "not answering"
                        : seen.server.in_recovery          ? "standby"
                                                           : "primary";
    if (seen.server.timeline) facts["timeline"] = seen.server.timeline.id;
    if (seen.server.accepts_connections) facts["lsn"] = to_string(seen.server.position());
    if (seen.operation) facts["operation"] = ha::to_string(seen.operation->kind);
    if (seen.settings.pause) facts["paused"] = true;
    json::object peers;
    for (const auto& [name, peer] : seen.peers)
        peers[name] = peer.reachable ? fmt::format("{} on timeline {} at {}, {:.1f} s ago",
                                                   peer.in_recovery ? "standby" : "primary", peer.timeline.id,
                                                   to_string(peer.position), age(seen.now, peer.seen))
                                     : fmt::format("not reachable, {:.1f} s ago", age(seen.now, peer.seen));
    if (!peers.empty()) facts["peers"] = std::move(peers);
    return facts;
}

/// Numbers in a text (seconds left) change at every tick; the rule and its objects do not.
bool same_but_for_numbers(std::string_view a, std::string_view b) {
    const auto skip = [](std::string_view text, std::size_t& i) {
        while (i < text.size() && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.')) ++i;
    };
    for (std::size_t i = 0, j = 0;; ++i, ++j) {
        skip(a, i);
        skip(b, j);
        if (i >= a.size() || j >= b.size()) return i >= a.size() && j >= b.size();
        if (a[i] != b[j]) return false;
    }
}

}  // namespace

bool FlightRecorder::note(const ha::Decision& decision, const ha::Snapshot& seen) {
    const char* action = ha::name_of(decision.action);
    const char* reason = ha::to_string(decision.reason);
    if (!entries_.empty()) {
        Entry& last = entries_.back();
        if (last.action == action && last.reason == reason && same_but_for_numbers(last.text, decision.text) &&
            last.notes == decision.notes) {
            ++last.times;
            last.last = seen.wall_now;
            return false;
        }
    }
    entries_.push_back(
        {seen.wall_now, action, reason, decision.text, decision.notes, facts_of(seen), 1, seen.wall_now});
    if (entries_.size() > entries_max_) entries_.pop_front();
    return true;
}

json::object FlightRecorder::report(const ha::Snapshot& seen) const {
    json::array decisions;
    for (const Entry& entry : entries_) {
        json::object one;
        one["at"] = iso_time(entry.at);
        one["action"] = entry.action;
        one["reason"] = entry.reason;
        one["text"] = entry.text;
        if (!entry.notes.empty()) one["notes"] = json::array(entry.notes.begin(), entry.notes.end());
        if (entry.times > 1) {
            one["times"] = entry.times;
            one["last"] = iso_time(entry.last);
        }
        one["facts"] = entry.facts;
        decisions.push_back(std::move(one));
    }
    const ha::Succession succession = ha::who_could_succeed(seen);
    json::object report;
    report["name"] = seen.name;
    report["now"] = iso_time(seen.wall_now);
    report["decisions"] = std::move(decisions);
    report["failover_now"] = json::object{{"possible", succession.possible}, {"why", succession.why}};
    return report;
}

}  // namespace pgkeel::agent
