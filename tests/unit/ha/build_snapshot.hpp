#pragma once
#include "ha/decide.hpp"

#include <cstdlib>
#include <string>
#include <utility>

namespace pgkeel::ha {

/// Snapshots for tests, as sentences: `standby("pg-b").follows("pg-a").lags(100)`. Unless told otherwise it is a
/// healthy node of a healthy cluster "pg-a", "pg-b", "pg-c" on timeline 1 at 0/5000000, ttl 5 s, whose leader pg-a
/// renewed its lease just now.
class BuildSnapshot {
  public:
    static constexpr Instant start{std::chrono::hours(10)};
    static constexpr Lsn position{0x5000000};
    static constexpr const char* system_identifier = "7000000000000000001";

    explicit BuildSnapshot(const std::string& name, bool in_recovery) {
        using namespace std::chrono_literals;
        s.now = start;
        s.wall_now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 12h);
        s.name = name;
        s.settings.ttl = 5s;
        s.settings.loop_wait = 1s;
        s.abilities.can_rewind = true;
        s.server.data_directory = DataDirectory::present;
        s.server.postmaster = Postmaster::running;
        s.server.accepts_connections = true;
        s.server.in_recovery = s.server.standby_signal = in_recovery;
        s.server.system_identifier = system_identifier;
        s.server.timeline = Timeline{1};
        s.server.written = s.server.received = s.server.replayed = position;
        s.view = ClusterView{};
        s.view->initialize = system_identifier;
        s.view->leader = LeaderKey{"pg-a", 1, 40, 40};
        s.view->status.optime = position;
        s.view->status.heartbeat = 7;
        s.view->status.holder = "pg-a";
        s.view->status.ttl_seconds = 5;
        s.view->status.mod_revision = 50;
        for (const char* each : {"pg-a", "pg-b", "pg-c"}) {
            Member member;
            member.name = each;
            member.conn_url = "postgres://" + member.name + ":5432/postgres";
            member.host = each;
            member.state = "running";
            member.role = member.name == "pg-a" ? Role::primary : Role::replica;
            member.runs_pgkeel = true;
            s.view->members.push_back(member);
            s.race_members.insert(each);
        }
        s.heartbeat.saw(s.view->status, s.now);
    }

    BuildSnapshot& at(Duration after_start) {
        s.now = start + after_start;
        s.wall_now += after_start;
        return *this;
    }
    BuildSnapshot& holds_lease(Duration renewed_ago = Duration::zero()) {
        s.lease =
            HeldLease{s.view ? s.view->leader->create_revision : 40, s.now - renewed_ago, LeaseTerms::of(s.settings)};
        return *this;
    }
    BuildSnapshot& follows(const std::string& leader) {
        s.following = leader;
        s.history_checked_epoch = s.view->leader->create_revision;
        return *this;
    }
    BuildSnapshot& no_leader_key() {
        s.view->leader.reset();
        return *this;
    }
    BuildSnapshot& released() {
        s.view->leader.reset();
        s.view->status.released_epoch = 40;
        return *this;
    }
    BuildSnapshot& without_store() {
        s.view.reset();
        return *this;
    }
    BuildSnapshot& paused() {
        s.settings.pause = true;
        return *this;
    }
    /// The server is down; pg_control says what it was doing.
    BuildSnapshot& down(ControlState state) {
        s.server.postmaster = Postmaster::absent;
        s.server.accepts_connections = s.server.in_recovery = false;
        s.server.control = ControlData{};
        s.server.control->state = state;
        return *this;
    }
    BuildSnapshot& starting(Duration since) {
        s.server.accepts_connections = s.server.in_recovery = false;
        s.server_starting_since = s.now - since;
        return *this;
    }
    BuildSnapshot& empty() {
        s.server = {};
        return *this;
    }
    BuildSnapshot& is_at(Lsn lsn) {
        s.server.written = s.server.received = s.server.replayed = lsn;
        return *this;
    }
    BuildSnapshot& busy(Operation kind, bool committed = false) {
        s.operation = RunningOperation{kind, s.now, committed};
        return *this;
    }
    BuildSnapshot& requests(FailoverRequest request) {
        request.mod_revision = 60;
        s.view->failover = std::move(request);
        return *this;
    }
    /// pg-a did not answer; the other named standby answers from its position.
    BuildSnapshot& asked(const std::string& peer, Lsn lsn, Tags tags = {}, Timeline timeline = Timeline{1}) {
        PeerStatus answer;
        answer.name = peer;
        answer.reachable = true;
        answer.position = lsn;
        answer.timeline = timeline;
        answer.system_identifier = system_identifier;
        answer.tags = std::move(tags);
        answer.asked = answer.seen = s.now;
        s.peers[peer] = answer;
        return *this;
    }
    /// pg-a leads or led with these standbys.
    BuildSnapshot& synchronous(SynchronousMode mode, std::vector<std::string> members, int quorum = 0) {
        s.settings.synchronous_mode = mode;
        s.view->sync = SyncKey{"pg-a", std::move(members), quorum, 55};
        return *this;
    }
    BuildSnapshot& streams_to(const std::string& peer, Lsn flushed = position) {
        ReplicationClient client;
        client.application_name = peer;
        client.state = "streaming";
        client.sent = client.written = client.flushed = client.replayed = flushed;
        s.server.replication.push_back(client);
        return *this;
    }
    BuildSnapshot& asked_in_vain(const std::string& peer) {
        s.peers[peer] = PeerStatus{};
        s.peers[peer].name = peer;
        s.peers[peer].asked = s.peers[peer].seen = s.now;
        return *this;
    }
    Member& member(const std::string& name) {
        for (Member& each : s.view->members)
            if (each.name == name) return each;
        std::abort();
    }
    operator const Snapshot&() const { return s; }

    Snapshot s;
};

inline BuildSnapshot primary(const std::string& name = "pg-a") {
    return BuildSnapshot(name, false);
}
inline BuildSnapshot standby(const std::string& name = "pg-b") {
    return BuildSnapshot(name, true);
}

inline FailoverRequest switchover(const std::string& leader, const std::string& candidate, const std::string& at = {}) {
    FailoverRequest request;
    request.leader = leader;
    request.candidate = candidate;
    request.scheduled_at = at;
    return request;
}
inline FailoverRequest failover_to(const std::string& candidate) {
    return switchover({}, candidate);
}

/// Zero: nofailover.
inline Tags with_priority(int priority) {
    Tags tags;
    tags.failover_priority = priority;
    tags.nofailover = priority == 0;
    return tags;
}

template <class ExpectedAction>
bool is(const Decision& decision) {
    return std::holds_alternative<ExpectedAction>(decision.action);
}

}  // namespace pgkeel::ha
