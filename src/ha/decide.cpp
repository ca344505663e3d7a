#include "ha/decide.hpp"

#include "ha/election.hpp"
#include "ha/standby_cluster.hpp"
#include "ha/switchover.hpp"
#include "ha/wal_source.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::ha {

using namespace std::chrono_literals;

namespace {

/// A postmaster that stands still for so long is taken for dead: nobody can connect, and no backend that crashes is
/// replaced.
constexpr Duration halted_max = 10s;
/// Of a standby that stays on an older timeline than its leader.
constexpr Duration compare_again_after = 10s;

Decision wait(Reason reason, std::string text, Instant look_again = Instant::max()) {
    return {Wait{}, reason, std::move(text), {}, look_again};
}

bool key_is_ours(const Snapshot& s) {
    return s.view->leader && s.view->leader->name == s.name;
}
bool key_is_anothers(const Snapshot& s) {
    return s.view->leader && s.view->leader->name != s.name;
}

/// A client might get a write acknowledged now or as soon as the start is over.
bool may_be_primary(const ServerState& server) {
    if (!server.running()) return server.postmaster == Postmaster::remains;
    return server.accepts_connections ? !server.in_recovery : !server.standby_signal;
}

/// The key `initialize` holds a system identifier, not the mark of a node that is bootstrapping.
bool is_system_identifier(const std::string& text) {
    return text.size() >= 10 &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= '0' && c <= '9'; });
}

/// The leader key names this node, and it does not hold the lease: an agent that was started again takes it up.
Decision adopt(const Snapshot& s, std::string text) {
    if (s.releasing) return wait(Reason::yielding, "releasing the leader key");
    // The answer to our request for the key was lost, and meanwhile we let the last leader go on.
    if (const Instant bound = s.heartbeat.bound_until(s.view->status, s.settings); s.now < bound)
        return wait(Reason::waiting_for_race,
                    fmt::format("the leader key is mine; {:.1f} s until the leader that I let go on has stopped",
                                seconds(bound - s.now)),
                    bound);
    return {AdoptLease{}, Reason::lease_is_ours, std::move(text)};
}

Decision demote(Demotion how, Reason reason, std::string text) {
    return {Demote{how, {}}, reason, std::move(text)};
}

/// Rules that come before all others: a primary whose right to write ends.
std::optional<Decision> decide_expiry(const Snapshot& s) {
    if (s.settings.pause || !s.lease || s.now < s.lease->demote_at() || !may_be_primary(s.server)) return std::nullopt;
    if (s.operation && s.operation->kind == Operation::stop) return std::nullopt;
    return demote(
        Demotion::offline, Reason::lease_expiring,
        fmt::format(
            "demoting self because DCS is not accessible and I was a leader: the lease was last renewed {:.1f} s ago",
            seconds(s.now - s.lease->renewed_at)));
}

Decision decide_during_operation(const Snapshot& s) {
    const RunningOperation& running = *s.operation;
    const bool lost = !s.lease && !s.settings.pause;
    if (lost && running.kind == Operation::promote) {
        if (running.committed)
            return demote(Demotion::immediate_nolock, Reason::lease_lost, "lost the leader lock while promoting");
        return {CancelOperation{}, Reason::lease_lost, "lost leader before promote"};
    }
    const bool drives_primary =
        running.kind == Operation::start || running.kind == Operation::restart || running.kind == Operation::follow;
    // What remains of a standby whose server is being restarted writes nothing.
    const bool was_standby = !s.server.running() && s.server.standby_signal;
    if (lost && drives_primary && !was_standby && may_be_primary(s.server))
        return demote(Demotion::immediate_nolock, Reason::lease_lost,
                      fmt::format("lost the leader lock during {}", to_string(running.kind)));
    return wait(Reason::operation_in_progress, fmt::format("{} in progress", to_string(running.kind)),
                s.lease ? s.lease->demote_at() : Instant::max());
}

/// Reads go on: a server that was stopped because nobody may lead now takes no writes as a standby that follows nobody.
std::optional<Decision> serve_reads_without_store(const Snapshot& s) {
    if (!s.stopped_to_demote || s.settings.pause || s.lease) return std::nullopt;
    if (s.server.postmaster != Postmaster::absent || s.server.data_directory != DataDirectory::present ||
        s.now < s.retry_start_at)
        return std::nullopt;
    return Decision{StartServer{}, Reason::store_unreachable,
                    "DCS is not accessible: starting as a standby that follows nobody, for reads"};
}

Decision decide_without_store(const Snapshot& s) {
    if (auto start = serve_reads_without_store(s)) return std::move(*start);
    if (!may_be_primary(s.server) || s.settings.pause) return wait(Reason::store_unreachable, "DCS is not accessible");
    if (s.lease && s.now < s.lease->demote_at() && s.failsafe_active) {
        // Who has agreed is asked again all the time. When one of them does not agree any more the lease may last on,
        // but it is not made use of to its end: this is no leader for good.
        const LeaseTerms& terms = s.lease->terms;
        const Instant until =
            std::min(s.lease->demote_at(),
                     s.lease->renewed_at + std::max<Duration>(terms.ttl * 2 / 5, terms.renew_every * 3 / 2 + 2s));
        if (s.now < until)
            return wait(Reason::store_unreachable,
                        "continue to run as a leader because failsafe mode is enabled and all members are accessible",
                        until);
        return demote(
            Demotion::offline, Reason::lease_expiring,
            fmt::format("demoting self because DCS is not accessible and not all members agree any more: they "
                        "last did {:.1f} s ago",
                        seconds(s.now - s.lease->renewed_at)));
    }
    if (s.lease && s.now < s.lease->demote_at())
        return wait(Reason::store_unreachable,
                    fmt::format("DCS is not accessible; I am ({}), the leader, and may stay so for {:.1f} s", s.name,
                                seconds(s.lease->demote_at() - s.now)),
                    s.lease->demote_at());
    return demote(Demotion::offline, Reason::lease_expiring,
                  "demoting self because DCS is not accessible and I was a leader");
}

/// Is this data directory a part of this cluster?
std::optional<Decision> decide_identity(const Snapshot& s) {
    if (s.server.data_directory != DataDirectory::present) return std::nullopt;
    const ClusterView& view = *s.view;
    if (!view.initialize) {
        if (s.lease && (s.server.is_primary() || s.settings.standby_cluster))
            return Decision{ClaimInitialize{}, Reason::initialize_missing, "writing the lost key initialize"};
        if (view.leader) return std::nullopt;  // the leader writes it
        if (!s.server.standby_signal || s.settings.standby_cluster)
            return Decision{ClaimInitialize{}, Reason::initialize_missing,
                            fmt::format("no key initialize: this data directory ({}) becomes the cluster",
                                        s.server.system_identifier)};
        return wait(Reason::initialize_missing,
                    "the key initialize is missing and this is a standby: waiting for the node that led");
    }
    if (!is_system_identifier(*view.initialize))
        return wait(Reason::waiting_for_bootstrap, "waiting for leader to bootstrap");
    if (s.server.system_identifier.empty() || s.server.system_identifier == *view.initialize) return std::nullopt;
    std::string text = fmt::format("system ID mismatch, node {} belongs to a different cluster: {} != {}", s.name,
                                   *view.initialize, s.server.system_identifier);
    if (!s.settings.pause) return Decision{Exit{}, Reason::system_identifier_mismatch, std::move(text)};
    if (s.lease) return Decision{ReleaseLease{}, Reason::system_identifier_mismatch, "released leader key: " + text};
    return wait(Reason::system_identifier_mismatch, std::move(text));
}

/// Which member a base backup is taken from: one that is tagged clonefrom, so that the leader is spared, else the
/// leader.
std::string clone_source(const Snapshot& s) {
    std::vector<const Member*> offers;
    for (const Member& member : s.view->members)
        if (member.tags.clonefrom && member.name != s.name && member.name != s.view->leader->name &&
            member.state != "stopped" &&
            (member.state == "running" || member.state == "streaming" || member.state == "in archive recovery"))
            offers.push_back(&member);
    if (offers.empty()) return s.view->leader->name;
    return offers[std::hash<std::string>{}(s.name) % offers.size()]->name;
}

/// Why nothing can be copied from `source` yet; none when it can.
std::optional<std::string> lacking_for_copy(const ClusterView& view, const std::string& source) {
    const Member* member = view.member(source);
    if (!member || member->conn_url.empty()) return fmt::format("waiting for {} to publish its address", source);
    if (source == view.leader->name && member->role != Role::primary && member->role != Role::standby_leader)
        return fmt::format("waiting for {} to become primary", source);
    return {};
}

/// Decision record 0014. The source is asked once more before anything is removed.
Decision decide_with_damaged_data(const Snapshot& s) {
    const auto because = [](Reason reason, std::string_view next, Instant at = Instant::max()) {
        return wait(reason,
                    fmt::format("a rewind was interrupted here, and what it left must not be started: {}", next), at);
    };
    if (s.settings.pause) return because(Reason::paused, "nothing is done while the cluster is paused");
    if (s.lease) return {ReleaseLease{}, Reason::data_damaged, "released leader key: a rewind was interrupted here"};
    if (s.abilities.keep_damaged_data && !s.reinit_requested)
        return because(Reason::data_damaged, fmt::format("run `pgkeel reinit` for {}", s.name));
    const auto& cluster = s.view->initialize;
    const std::string& ours = s.server.system_identifier;
    if (cluster && is_system_identifier(*cluster) && !ours.empty() && ours != *cluster && !s.reinit_requested)
        return because(Reason::system_identifier_mismatch,
                       fmt::format("and it is of another cluster ({} != {}): if it can go, run `pgkeel reinit` for {}",
                                   ours, *cluster, s.name));
    if (!key_is_anothers(s)) return because(Reason::data_damaged, "waiting for a leader to copy from");
    const std::string source = clone_source(s);
    if (const auto lacking = lacking_for_copy(*s.view, source)) return because(Reason::data_damaged, *lacking);
    if (s.now < s.retry_start_at)
        return because(Reason::start_failed_recently, "waiting before the next try to replace it", s.retry_start_at);
    return {Reinitialize{source}, Reason::data_damaged,
            "reinitializing: a rewind was interrupted here, and what it left must not be started"};
}

Decision decide_without_data(const Snapshot& s) {
    const ClusterView& view = *s.view;
    const bool is_damaged = s.server.data_directory == DataDirectory::damaged;
    // Somebody emptied it under a server that may still acknowledge writes from its memory; or started what is broken.
    if (s.server.postmaster != Postmaster::absent && !s.settings.pause)
        return {KillRemains{}, Reason::orphaned_backends,
                is_damaged ? "a rewind was interrupted here, and somebody has started what it left: ending that"
                           : "the data directory is gone and processes of its server are left: ending them"};
    if (is_damaged) return decide_with_damaged_data(s);
    if (s.settings.pause) return wait(Reason::paused, "running with empty data directory");
    if (s.server.data_directory == DataDirectory::foreign)
        return {Exit{}, Reason::foreign_data, "the data directory is neither empty nor a PostgreSQL cluster"};
    if (s.lease) return {ReleaseLease{}, Reason::data_missing, "released leader key voluntarily as data dir is empty"};
    if (key_is_ours(s)) return adopt(s, "the leader key is mine and the data directory is empty");
    if (s.now < s.retry_start_at)
        return wait(Reason::start_failed_recently, "waiting before the next try to create this node's data",
                    s.retry_start_at);
    if (key_is_anothers(s)) {
        const std::string source = clone_source(s);
        if (auto lacking = lacking_for_copy(view, source)) return wait(Reason::waiting_for_leader, std::move(*lacking));
        const bool is_leader = source == view.leader->name;
        return {Clone{source}, Reason::data_missing,
                fmt::format("trying to bootstrap from {} '{}'", is_leader ? "leader" : "replica", source)};
    }
    if (!view.initialize && s.abilities.has_bootstrap_section && !s.tags.nofailover)
        return {BootstrapCluster{}, Reason::new_cluster,
                s.settings.standby_cluster ? "trying to bootstrap a new standby leader"
                                           : "trying to bootstrap a new cluster"};
    if (view.initialize && is_system_identifier(*view.initialize) && s.abilities.can_clone_without_leader)
        return {Clone{}, Reason::data_missing, "trying to bootstrap without leader"};
    return wait(Reason::waiting_for_bootstrap, "waiting for leader to bootstrap");
}

/// pg_control shows that this server was a primary when it last ran.
bool was_primary(const ServerState& server) {
    if (server.standby_signal || !server.control) return false;
    const ControlState state = server.control->state;
    return state != ControlState::shut_down_in_recovery && state != ControlState::in_archive_recovery;
}

/// Whoever led since may have more WAL: an election finds out.
std::optional<Decision> give_back_old_key(const Snapshot& s) {
    if (!s.key_is_old || s.settings.standby_cluster || may_be_primary(s.server)) return std::nullopt;
    return Decision{ReleaseLease{}, Reason::old_key,
                    "released leader key: it names me from before another led; whoever has the most WAL shall lead"};
}

Decision decide_down_with_lease(const Snapshot& s) {
    if (auto release = give_back_old_key(s)) return std::move(*release);
    if (s.settings.pause)
        return {ReleaseLease{}, Reason::leader_without_server,
                "removed leader lock because postgres is not running as primary"};
    if (!s.unfit_to_lead.empty() && !s.settings.standby_cluster)
        return {ReleaseLease{}, Reason::not_fenced, "released leader key: " + s.unfit_to_lead};
    if (s.start_failed)
        return {ReleaseLease{}, Reason::start_failed, "removed leader key after trying and failing to start postgres"};
    if (s.settings.standby_cluster) return start_standby_leader(s, was_primary(s.server));
    if (s.server.standby_signal)
        return {StartServer{}, Reason::leader_in_recovery, "starting as readonly because i had the session lock"};
    if (s.settings.primary_start_timeout == 0s || !s.cannot_write.empty()) {
        const Succession succession = who_could_succeed(s);
        std::set<std::string> others = s.race_members;
        others.erase(s.name);
        if (auto names = peers_to_ask(s, others, 2s); !names.empty())
            return {ProbePeers{std::move(names)}, Reason::peers_unknown,
                    "postgres is down: asking who could take over"};
        if (succession.possible && !s.cannot_write.empty())
            return {ReleaseLease{}, Reason::cannot_write,
                    fmt::format("released the leader key: {}; {}", s.cannot_write, succession.why)};
        if (succession.possible)
            return {
                ReleaseLease{}, Reason::failover_preferred_to_restart,
                fmt::format(
                    "stopped PostgreSQL while starting up or crashed, and {} can take over: released the leader key",
                    succession.best)};
    }
    return {StartServer{true, {}}, Reason::crashed, "starting primary after failure"};
}

bool crashed(const ServerState& server) {
    const ControlState state = server.control->state;
    return !server.backup_label && (state == ControlState::in_production || state == ControlState::shutting_down ||
                                    state == ControlState::in_crash_recovery);
}

/// Its leader is on a later timeline, which may have begun before where this server's WAL ends: once PostgreSQL has
/// seen the history of that one, it does not start as a standby ("requested timeline is not a child of this server's
/// history").
bool may_be_unfit_to_follow(const ServerState& server, const Member& leader) {
    return server.control && leader.timeline > server.control->last_timeline();
}

Decision decide_down(const Snapshot& s) {
    if (s.server.postmaster == Postmaster::remains)
        return {KillRemains{}, Reason::orphaned_backends, "the postmaster is gone and backends are left: ending them"};
    if (key_is_ours(s) && !s.lease) return adopt(s, "the leader key is mine: adopting it");
    if (s.lease) return decide_down_with_lease(s);
    if (s.settings.pause && !s.stopped_to_demote) return wait(Reason::paused, "postgres is not running");
    if (s.now < s.retry_start_at)
        return wait(Reason::start_failed_recently, "waiting before the next try to start postgres", s.retry_start_at);

    if (key_is_anothers(s)) {
        if (s.reinit_requested) return {Reinitialize{clone_source(s)}, Reason::reinit_requested, "reinitializing"};
        const Member* leader = s.view->leader_member();
        const bool stale = may_take_lease(*s.view, s.heartbeat, s.name, s.settings, s.now).allowed;
        const Role leads = s.settings.standby_cluster ? Role::standby_leader : Role::primary;
        const bool leader_is_open =
            leader && leader->role == leads && !leader->checkpoint_after_promote_pending && !leader->conn_url.empty();
        const bool unfit = leader_is_open && may_be_unfit_to_follow(s.server, *leader);
        if (!was_primary(s.server) && !s.history_diverged && !unfit)
            return {StartServer{false, wal_source(s)}, Reason::server_down,
                    fmt::format("starting as a secondary; the leader is {}", s.view->leader->name)};
        if (s.settings.standby_cluster) return rejoin_standby_cluster(s);
        if (leader_is_open)
            return {Rejoin{leader->name}, Reason::server_down,
                    fmt::format("rejoining: comparing my history with {}'s", leader->name)};
        if (!stale)
            return wait(Reason::waiting_for_leader,
                        fmt::format("waiting for {} to be promoted and checkpointed, to compare histories",
                                    s.view->leader->name));
    }
    if (s.now < s.yield_until)
        return wait(Reason::yielding, "released the leader key; waiting for another leader", s.yield_until);
    if (was_primary(s.server) && crashed(s.server))
        return {Rejoin{}, Reason::server_down,
                "doing crash recovery in a single user mode, then starting as a secondary"};
    return {StartServer{}, Reason::server_down, "starting as a secondary"};
}

Decision decide_starting(const Snapshot& s) {
    const Duration starting = s.now - s.server_starting_since;
    if (s.lease) {
        if (!s.settings.pause && starting > s.settings.primary_start_timeout) {
            std::set<std::string> others = s.race_members;
            others.erase(s.name);
            if (auto names = peers_to_ask(s, others, 2s); !names.empty())
                return {ProbePeers{std::move(names)}, Reason::peers_unknown,
                        "postgres starts slowly: asking who could take over"};
            if (who_could_succeed(s).possible)
                return demote(
                    Demotion::immediate, Reason::startup_too_slow,
                    fmt::format("stopped PostgreSQL because of startup timeout: {:.0f} s", seconds(starting)));
        }
    } else if (key_is_anothers(s) && !s.settings.pause && may_be_primary(s.server)) {
        return demote(Demotion::immediate_nolock, Reason::another_leader,
                      fmt::format("stopping a starting primary: {} is the leader", s.view->leader->name));
    }
    return wait(Reason::server_starting,
                fmt::format("PostgreSQL is still starting up, {:.0f} s so far", seconds(starting)));
}

/// A primary whose volumes take nothing makes way for somebody whose do. Where a write hangs its processes may not end
/// before it comes back, so the lease is not released, but left to end.
std::optional<Decision> hand_over_unwritable(const Snapshot& s) {
    if (s.cannot_write.empty() || s.settings.pause || !may_be_primary(s.server)) return std::nullopt;
    std::set<std::string> others = s.race_members;
    others.erase(s.name);
    if (auto names = peers_to_ask(s, others, 2s); !names.empty())
        return Decision{ProbePeers{std::move(names)}, Reason::peers_unknown,
                        fmt::format("{}: asking who could take over", s.cannot_write)};
    const Succession succession = who_could_succeed(s);
    if (!succession.possible) return std::nullopt;
    return demote(s.writes_hang ? Demotion::immediate_nolock : Demotion::immediate, Reason::cannot_write,
                  fmt::format("demoting self: {}; {}", s.cannot_write, succession.why));
}

Decision decide_leading(const Snapshot& s) {
    if (key_is_anothers(s) && s.server.is_primary() && !s.settings.pause)
        return demote(Demotion::immediate_nolock, Reason::lease_lost,
                      fmt::format("demoting self because the leader key was taken by {}", s.view->leader->name));
    if (s.settings.standby_cluster) return lead_standby_cluster(s);
    if (!s.unfit_to_lead.empty() && !s.settings.pause && s.server.accepts_connections) {
        if (s.server.in_recovery)
            return {ReleaseLease{}, Reason::not_fenced, "released leader key: " + s.unfit_to_lead};
        return demote(Demotion::graceful, Reason::not_fenced, "demoting self: " + s.unfit_to_lead);
    }
    if (auto handover = hand_over_unwritable(s)) return std::move(*handover);
    const bool requested = s.view->failover && s.view->failover->candidate == s.name;
    if (s.settings.pause && s.server.accepts_connections && s.server.in_recovery && !requested)
        return {ReleaseLease{}, Reason::leader_without_server,
                "removed leader lock because postgres is not running as primary"};
    if (s.server.accepts_connections && s.server.in_recovery) {
        if (auto release = give_back_old_key(s)) return std::move(*release);
        if (s.history_diverged)
            return {ReleaseLease{}, Reason::history_diverged, "released leader key: my history has left the cluster's"};
        return {Promote{}, Reason::leader_in_recovery,
                fmt::format("promoting: I am ({}), the leader with the lock", s.name)};
    }
    // Before a switchover, which asks who has left it.
    const bool history_needed = s.view->has_history || s.server.timeline > Timeline{1};
    // A timeline may begin more than one after its parent: others are in the archive.
    const bool told = s.view->has_history && s.history_told == s.server.timeline;
    if (s.server.is_primary() && s.server.timeline && history_needed && !told &&
        s.view->timeline() != s.server.timeline)
        return {UpdateHistory{}, Reason::history_outdated,
                fmt::format("updating the history key for timeline {}", s.server.timeline.id)};
    if (auto requested_failover = decide_requested_failover(s)) return std::move(*requested_failover);
    return wait(Reason::leading, fmt::format("no action. I am ({}), the leader with the lock", s.name),
                next_scheduled(s));
}

Decision decide_following(const Snapshot& s, const Takeover& takeover) {
    const ClusterView& view = *s.view;
    const std::string& leader_name = view.leader->name;
    if (s.server.is_primary()) {
        if (s.settings.pause) return wait(Reason::paused, "continue to run as primary without lock");
        return demote(
            Demotion::immediate_nolock, Reason::another_leader,
            fmt::format("demoting self because i do not have the lock and i was a leader; {} has it", leader_name));
    }
    if (s.reinit_requested) return {Reinitialize{clone_source(s)}, Reason::reinit_requested, "reinitializing"};

    const Member* leader = view.leader_member();
    const std::string source = wal_source(s);
    const Member* source_member = view.member(source);
    const bool can_follow = source == archive_source || (source_member && !source_member->conn_url.empty());
    if (s.following != source && can_follow)
        return {Follow{source}, Reason::leader_changed, fmt::format("following {}", source)};

    // Whose history ours has to be a part of.
    const std::string measure = s.settings.standby_cluster ? remote_source(s.settings.remote) : leader_name;
    const bool leader_is_open = leader && !leader->conn_url.empty() &&
                                leader->role == (s.settings.standby_cluster ? Role::standby_leader : Role::primary);
    // A leader goes on to another timeline under the same epoch when a standby cluster comes to stand alone.
    const bool stays_behind = leader && s.server.timeline && s.server.timeline < leader->timeline &&
                              s.now - s.history_tried_at > compare_again_after;
    const bool comparison_due = s.settings.standby_cluster
                                    ? remote_comparison_due(s)
                                    : stays_behind || s.history_checked_epoch != view.leader->create_revision;
    if (comparison_due && leader_is_open)
        return {CompareHistory{measure}, Reason::histories_unknown,
                fmt::format("comparing my history with {}'s", measure)};
    if (s.history_diverged && leader_is_open && !s.settings.pause) {
        if (s.abilities.can_rewind) {
            if (leader->checkpoint_after_promote_pending)
                return wait(Reason::history_diverged,
                            fmt::format("waiting for the checkpoint on {} before rewind", leader_name));
            return {Rejoin{measure}, Reason::history_diverged, fmt::format("running pg_rewind from {}", measure)};
        }
        if (s.abilities.remove_data_on_diverged_timelines)
            return {Reinitialize{clone_source(s)}, Reason::history_diverged,
                    "reinitializing due to diverged timelines"};
        return wait(Reason::history_diverged,
                    fmt::format("my history has left {}'s, and pg_rewind cannot be used: run `pgkeel reinit` for {}",
                                measure, s.name));
    }

    // A late heartbeat proves nothing; it is the time to learn what an election would need to know.
    const Duration silence = s.now - s.heartbeat.changed_at();
    const Duration half = s.settings.ttl / 2;
    if (s.heartbeat.ever() && !s.settings.pause && silence > half && takeover.allowed_at != Instant::max()) {
        std::set<std::string> others = s.race_members;
        others.erase(s.name);
        if (auto names = peers_to_ask(s, others, 1s); !names.empty())
            return {
                ProbePeers{std::move(names)},
                Reason::suspicion,
                fmt::format("no heartbeat of {} for {:.1f} s: asking the other members", leader_name, seconds(silence)),
                {},
                takeover.allowed_at};
        return wait(Reason::waiting_for_race, takeover.why, std::min(takeover.allowed_at, s.now + 1s));
    }
    return wait(Reason::following,
                fmt::format("no action. I am ({}), a secondary, and following a {} ({})", s.name,
                            s.settings.standby_cluster ? "standby leader" : "leader", leader_name),
                std::min(s.heartbeat.ever() ? s.heartbeat.changed_at() + half + 1ms : Instant::max(),
                         next_remote_comparison(s)));
}

/// Like one that has crashed: what is left is ended, and it is started again where it was.
std::optional<Decision> end_halted(const Snapshot& s) {
    if (s.settings.pause || s.server_halted_since == Instant{}) return std::nullopt;
    const Duration halted = s.now - s.server_halted_since;
    if (halted < halted_max) return std::nullopt;
    return Decision{KillRemains{}, Reason::postmaster_halted,
                    fmt::format("the postmaster (pid {}) has been halted for {:.0f} s: ending it as one that crashed",
                                s.server.postmaster_pid, seconds(halted))};
}

Decision decide_unpaused(const Snapshot& s) {
    if (auto expiry = decide_expiry(s)) return std::move(*expiry);
    if (s.operation) return decide_during_operation(s);
    if (auto end = end_halted(s)) return std::move(*end);
    if (!s.view) return decide_without_store(s);
    if (s.server.data_directory != DataDirectory::present) return decide_without_data(s);
    if (auto identity = decide_identity(s)) return std::move(*identity);
    if (!s.server.running()) return decide_down(s);
    if (key_is_ours(s) && !s.lease) return adopt(s, "the leader key is mine: adopting it");
    if (!s.server.accepts_connections && !s.server.query_failed) return decide_starting(s);
    if (s.lease) return decide_leading(s);
    const Takeover takeover = may_take_lease(*s.view, s.heartbeat, s.name, s.settings, s.now);
    if (s.view->leader && !takeover.allowed) return decide_following(s, takeover);
    return decide_race(s);
}

}  // namespace

Decision decide(const Snapshot& seen) {
    Decision decision = decide_unpaused(seen);
    if (seen.settings.pause) decision.text = "PAUSE: " + decision.text;
    return decision;
}

}  // namespace pgkeel::ha
