// The operations of a node: what takes longer than a tick. Each runs as a task of its own, one at a time, while the
// loop goes on; after every wait it asks again whether the lease is still ours before PostgreSQL is touched.
#include "agent/node.hpp"
#include "async/spawn.hpp"
#include "cluster/transactions.hpp"
#include "ha/slots.hpp"
#include "ha/wal_source.hpp"
#include "log/log.hpp"

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

std::optional<postgres::Source> Node::source_of(const std::string& name) const {
    if (ha::is_remote_source(name)) {
        const RemotePrimary& remote = seen_.settings.remote;
        return postgres::Source{name, remote.host, remote.port, remote.slot_name, true};
    }
    const Member* member = seen_.view ? seen_.view->member(name) : nullptr;
    if (!member || member->host.empty()) return std::nullopt;
    return postgres::Source{member->name, member->host, member->port,
                            seen_.settings.use_slots ? ha::slot_name(identity_.name) : std::string{}};
}

/// Whom this node's history is compared with, and rewound to: a member, or the primary of another cluster.
std::optional<Member> Node::whose_history(const std::string& name) const {
    if (ha::is_remote_source(name)) {
        Member remote;
        remote.name = name;
        remote.host = seen_.settings.remote.host;
        remote.port = seen_.settings.remote.port;
        remote.role = Role::primary;
        return remote;
    }
    const Member* member = seen_.view ? seen_.view->member(name) : nullptr;
    return member ? std::optional(*member) : std::nullopt;
}

std::function<bool()> Node::start_guard(bool as_primary) {
    return [this, as_primary] {
        if (stopping_ || fencing_) return false;
        return !as_primary || seen_.settings.pause || seen_.bootstrap_pending || holds_lease();
    };
}

void Node::tell_role(Callback otherwise) {
    const Role now = role();
    out_.scripts.call(called_role_ && *called_role_ != now ? Callback::on_role_change : otherwise, now);
    called_role_ = now;
}

// ---- a new cluster, a new member

namespace {
const std::string lost_the_race = "the key initialize went to somebody else";
}

Task<> Node::bootstrap() {
    operation_state_ = "initializing new cluster";
    const auto lease = co_await keeper_.ensure_lease();
    if (!lease) co_return;
    const auto claim =
        co_await out_.store.commit(cluster::claim_initialize(keys_, identity_.id, *lease), out_.clock.now() + 2s);
    if (claim && !claim->succeeded) co_return;  // somebody else was faster
    if (!claim) {
        // Maybe done: the key says whose it is.
        log::warning("the race for the key initialize had no answer: {}", claim.error().line());
        const auto now = co_await out_.store.range(keys_.prefix, out_.clock.now() + 2s);
        if (!now || cluster::parse_view(keys_, now->values, now->revision).initialize != identity_.id) co_return;
    }
    seen_.bootstrap_pending = true;
    std::string failure = seen_.settings.standby_cluster ? co_await create_standby_leader() : co_await create_primary();
    if (failure.empty()) failure = co_await open_cluster();
    seen_.bootstrap_pending = false;
    if (!failure.empty()) co_await fail_bootstrap(failure);
}

/// Returns why it could not; empty: done.
Task<std::string> Node::create_primary() {
    if (auto made = co_await out_.server.create_cluster(); !made) co_return made.error().line();
    if (auto armed = co_await out_.fences.arm_for_bootstrap(); !armed) co_return armed.error().line();
    if (auto up = co_await out_.server.start({.as_primary = true,
                                              .source = {},
                                              .timeout = seen_.settings.primary_start_timeout,
                                              .allowed = start_guard(true)});
        !up)
        co_return up.error().line();
    if (auto done = co_await out_.server.finish_bootstrap(); !done) co_return done.error().line();
    co_return "";
}

/// A standby cluster begins as a copy of the primary it follows; without one, by a method that needs none.
Task<std::string> Node::create_standby_leader() {
    const std::string source = ha::remote_source(seen_.settings.remote);
    std::optional<Member> remote = whose_history(source);
    if (remote->host.empty()) remote.reset();
    if (auto copied = co_await out_.server.clone(std::move(remote)); !copied) co_return copied.error().line();
    if (auto up = co_await out_.server.start(
            {.as_primary = false, .source = source_of(source), .timeout = 3600s, .allowed = start_guard(false)});
        !up)
        co_return up.error().line();
    seen_.following = source;
    co_return "";
}

/// Writes the keys that make the bootstrapped server the cluster. Returns why it could not; empty: done.
Task<std::string> Node::open_cluster() {
    const ServerState server = co_await out_.server.observe(out_.clock.now() + 5s);
    const bool standby = seen_.settings.standby_cluster;
    if (!server.accepts_connections || server.in_recovery != standby)
        co_return fmt::format("the new server does not answer as a {}", standby ? "standby" : "primary");
    const Role leader = standby ? Role::standby_leader : Role::primary;
    StatusKey status;
    status.optime = server.position();
    status.heartbeat = 1;
    status.holder = identity_.name;
    status.ttl_seconds = seen_.settings.ttl.count();
    std::string problem;
    for (int tries = 0; tries < 5; ++tries) {
        const auto lease = co_await keeper_.ensure_lease();
        if (lease) {
            const Instant sent = out_.clock.now();
            const auto opened =
                co_await out_.store.commit(cluster::finish_bootstrap(keys_, identity_.id, server.system_identifier,
                                                                     dynamic_config_, identity_.name, *lease, status),
                                           sent + 2s);
            if (opened && !opened->succeeded) co_return lost_the_race;
            if (opened) {
                log::info("initialized a new cluster");
                keeper_.took(opened->revision, status, sent);
                called_role_ = leader;
                out_.scripts.call(Callback::on_start, leader);
                co_return "";
            }
            if (opened.error().code == Errc::lease_gone) keeper_.forget_lease(*lease);
            problem = opened.error().line();
            // Maybe done: if it was, the keys say so and the lease is adopted by the loop.
            const auto now = co_await out_.store.range(keys_.prefix, out_.clock.now() + 2s);
            if (now && cluster::parse_view(keys_, now->values, now->revision).initialize == server.system_identifier)
                co_return "";
        } else {
            problem = lease.error().line();
        }
        co_await out_.clock.sleep_for(1s);
    }
    co_return "etcd did not take the new cluster's keys: " + problem;
}

Task<> Node::fail_bootstrap(std::string why) {
    co_await out_.server.kill_everything();
    out_.fences.disarm(Fences::Disarmed::no_writes);
    const bool left = (co_await out_.server.observe(out_.clock.now() + 2s)).data_directory != DataDirectory::empty;
    const auto kept = left ? co_await out_.server.remove_data(".failed") : Result<>{};
    if (!kept) log::error("could not put the failed data directory aside: {}", kept.error().line());
    if (why == lost_the_race && kept) {
        log::warning("could not bootstrap the cluster: {}; joining theirs", why);
        co_return;
    }
    const auto abandoned =
        co_await out_.store.commit(cluster::abandon_bootstrap(keys_, identity_.id), out_.clock.now() + 2s);
    if (!abandoned) log::warning("could not give the key initialize back: {}", abandoned.error().line());
    fatal_ = Error{
        Errc::process_failed, "Failed to bootstrap cluster: " + why,
        left && kept ? "its data directory was kept with the suffix .failed" : "mend that and start the agent again"};
}

Task<> Node::clone(std::string from) {
    operation_state_ = "creating replica";
    std::optional<Member> source;
    if (!from.empty()) {
        // Before a reinit comes here it stops and removes the old server: the cluster may have changed since.
        const Member* member = seen_.view ? seen_.view->member(from) : nullptr;
        if (!member) {
            log::warning("cannot copy from {}: it is not seen in etcd any more", from);
            seen_.retry_start_at = out_.clock.now() + 1s;
            co_return;
        }
        source = *member;
    }
    const auto copied = co_await out_.server.clone(source);
    if (!copied) {
        log::error("could not create the replica{}: {}", from.empty() ? "" : " from " + from, copied.error().line());
        seen_.retry_start_at = out_.clock.now() + std::min<Duration>(seen_.settings.loop_wait, 5s);
        co_return;
    }
    log::info("replica has been created using {}", from.empty() ? "a method that needs no leader" : from);
    const std::string follow = ha::wal_source(seen_);
    co_await start_standby(follow.empty() ? from : follow);
}

/// What an interrupted rewind has left may be all that this cluster has: it goes when there is something to copy.
Task<bool> Node::can_be_copied(std::string source) {
    const Member* member = seen_.view ? seen_.view->member(source) : nullptr;
    Result<std::string> identifier = fail(Errc::not_found, "it is not seen in etcd any more");
    if (member) identifier = co_await out_.server.system_identifier_of(*member);
    const std::string& ours = seen_.server.system_identifier;
    if (identifier && ours.empty())
        identifier = fail(Errc::unsafe, "the cluster that they are of cannot be read from pg_control",
                          "if they can go, `pgkeel reinit` this node");
    else if (identifier && *identifier != ours)
        identifier =
            fail(Errc::unsafe, fmt::format("its system identifier is {}, and this node's {}", *identifier, ours),
                 "is the scope that of this cluster? if the data here can go, `pgkeel reinit` this node");
    if (identifier) co_return true;
    log::error("this node's data are not replaced by a copy of {}: {}", source, identifier.error().line());
    seen_.retry_start_at = out_.clock.now() + std::min<Duration>(seen_.settings.loop_wait, 5s);
    co_return false;
}

Task<> Node::reinitialize_from(std::string source) {
    const bool is_damaged = seen_.server.data_directory == DataDirectory::damaged;
    if (is_damaged && !seen_.reinit_requested && !co_await can_be_copied(source)) co_return;
    if (seen_.settings.pause && !seen_.reinit_requested) co_return;
    operation_state_ = "creating replica";
    if (reinit_from_leader_ && seen_.view && seen_.view->leader) source = seen_.view->leader->name;
    seen_.reinit_requested = false;
    reinit_from_leader_ = false;
    log::info("reinitializing from {}", source);
    const auto stopped = co_await out_.server.stop(
        {.mode = postgres::StopMode::immediate, .checkpoint_first = false, .timeout = 10s, .on_shut_down = {}});
    if (!stopped) co_await out_.server.kill_everything();
    // Before a rewind is begun everything is kept, and behind a broken one nothing can be read any more.
    if (seen_.history_diverged && !is_damaged && !co_await keep_lost_wal()) co_return;
    if (const auto removed = co_await out_.server.remove_data(""); !removed) {
        log::error("could not remove the data directory: {}", removed.error().line());
        seen_.retry_start_at = out_.clock.now() + std::min<Duration>(seen_.settings.loop_wait, 5s);
        co_return;
    }
    seen_.history_diverged = false;
    seen_.history_checked_epoch = 0;
    co_await clone(source);
}

// ---- starting, following, coming back

Task<bool> Node::start_standby(std::string follow) {
    operation_state_ = "starting";
    auto source = source_of(follow);
    // Nothing runs, or the start refuses. What was ordered for a primary must not hit the standby.
    if ((co_await out_.server.observe(out_.clock.now() + 2s)).postmaster == Postmaster::absent)
        out_.fences.disarm(Fences::Disarmed::no_writes);
    const auto up = co_await out_.server.start(
        {.as_primary = false, .source = source, .timeout = 3600s, .allowed = start_guard(false)});
    if (!up) {
        log::error("could not start PostgreSQL as a standby: {}", up.error().line());
        seen_.retry_start_at = out_.clock.now() + std::min<Duration>(seen_.settings.loop_wait, 5s);
        if (keeper_.held()) seen_.start_failed = true;  // somebody else may lead better
        co_return false;
    }
    seen_.following = source || follow == ha::archive_source ? follow : std::string{};
    // What was seen last may be from before the data came.
    seen_.server.data_directory = DataDirectory::present;
    seen_.server.standby_signal = true;
    tell_role(Callback::on_start);
    co_return true;
}

Task<> Node::start_server(bool as_primary, std::string follow) {
    if (!as_primary) {
        co_await start_standby(std::move(follow));
        co_return;
    }
    operation_state_ = "starting";
    const Duration timeout = std::max<Duration>(seen_.settings.primary_start_timeout, 10s);
    if (const auto prepared = co_await sync_.prepare(known_sync_, seen_.settings); !prepared) {
        log::error("not starting as the primary yet: {}", prepared.error().line());
        seen_.retry_start_at = out_.clock.now() + 500ms;
        co_return;
    }
    auto up = co_await arm_fences(0);
    if (up)
        up = co_await out_.server.start(
            {.as_primary = true, .source = {}, .timeout = timeout, .allowed = start_guard(true)});
    if (!up) {
        log::error("could not start PostgreSQL as the primary: {}", up.error().line());
        co_await out_.server.kill_everything();
        seen_.start_failed = true;
        seen_.retry_start_at = out_.clock.now() + std::min<Duration>(seen_.settings.loop_wait, 5s);
        co_return;
    }
    tell_role(Callback::on_start);
}

Task<> Node::follow(std::string source) {
    const auto where = source_of(source);
    if (!where && source != ha::archive_source) co_return;
    if (const auto done = co_await out_.server.follow(where); !done) {
        log::error("could not follow {}: {}", source, done.error().line());
        co_return;
    }
    seen_.following = source;
    if (!called_role_)
        tell_role(Callback::on_start);
    else if (*called_role_ != role())
        tell_role(Callback::on_role_change);
}

/// False: meanwhile the cluster has become another's standby cluster, or stands alone again, and is measured anew.
bool Node::note_comparison(const std::string& with, std::int64_t epoch, const postgres::Server::Divergence& found) {
    if (ha::is_remote_source(with) != seen_.settings.standby_cluster) return false;
    seen_.history_checked_epoch = epoch;
    seen_.history_diverged = found.needs_rewind;
    lost_wal_ = found.lost;
    return true;
}

Task<> Node::compare_history(std::string leader) {
    const std::optional<Member> member = whose_history(leader);
    const std::int64_t epoch = seen_.view->leader ? seen_.view->leader->create_revision : 0;
    if (!member) co_return;
    seen_.history_tried_at = out_.clock.now();
    const auto compared = co_await out_.server.compare_history(*member, seen_.server);
    if (!compared) {
        log::warning("could not compare histories with {}: {}", leader, compared.error().line());
        if (ha::is_remote_source(leader)) co_return;  // it may be away for long, and is asked again after a while
        co_await out_.clock.sleep_for(500ms);
        co_return;
    }
    if (note_comparison(leader, epoch, *compared) && compared->needs_rewind)
        log::warning("my history has left {}'s: {}", leader, compared->why);
}

/// Ends what runs, and recovers from a crash: only then it is known where this server's WAL ends.
Task<> Node::bring_to_rest() {
    if (seen_.server.running()) {
        operation_state_ = "stopping";
        const auto stopped = co_await out_.server.stop(
            {.mode = postgres::StopMode::fast, .checkpoint_first = false, .timeout = 60s, .on_shut_down = {}});
        if (!stopped) co_await out_.server.kill_everything();
        seen_.server = co_await out_.server.observe(out_.clock.now() + 2s);
    }
    const auto& control = seen_.server.control;
    const bool crashed =
        control && !seen_.server.backup_label && !seen_.server.standby_signal &&
        (control->state == ControlState::in_production || control->state == ControlState::shutting_down ||
         control->state == ControlState::in_crash_recovery);
    if (!crashed) co_return;
    operation_state_ = "running crash recovery";
    log::info("doing crash recovery in a single user mode");
    if (const auto recovered = co_await out_.server.recover_single_user(); !recovered)
        log::warning("crash recovery in single-user mode failed: {}", recovered.error().line());
    seen_.server = co_await out_.server.observe(out_.clock.now() + 2s);
}

Task<> Node::rejoin(std::string leader_name) {
    const std::optional<Member> member = leader_name.empty() ? std::nullopt : whose_history(leader_name);
    const Member leader = member.value_or(Member{});
    const bool remote = ha::is_remote_source(leader_name);
    const std::int64_t epoch = seen_.view->leader ? seen_.view->leader->create_revision : 0;
    co_await bring_to_rest();
    if (!member) {
        co_await start_standby({});
        co_return;
    }
    const auto compared = co_await out_.server.compare_history(leader, seen_.server);
    if (!compared) {
        log::warning("could not compare histories with {}: {}", leader_name, compared.error().line());
        seen_.retry_start_at = out_.clock.now() + 1s;
        // A server that was not left in order cannot be compared while it is down; as a standby it can. And the readers
        // of a standby cluster are served while the remote primary is away.
        if (compared.error().code == Errc::not_found || remote) co_await start_standby(ha::wal_source(seen_));
        co_return;
    }
    const bool counts = note_comparison(leader_name, epoch, *compared);
    if (counts && compared->needs_rewind && !co_await heal_history(leader, compared->why)) co_return;
    const std::string source = ha::wal_source(seen_);
    co_await start_standby(source.empty() ? leader_name : source);
}

/// Makes a diverged data directory fit for `leader` again. False: there is nothing to start; the loop clones it anew,
/// or tries again later.
Task<bool> Node::heal_history(Member leader, std::string why) {
    log::info("my history has left {}'s: {}", leader.name, why);
    if (!co_await keep_lost_wal()) co_return false;
    if (seen_.abilities.can_rewind) {
        operation_state_ = "running pg_rewind";
        const auto rewound = co_await out_.server.rewind(leader);
        if (rewound) {
            seen_.history_diverged = false;
            co_return true;
        }
        log::error("pg_rewind from {} failed: {}", leader.name, rewound.error().line());
        seen_.retry_start_at = out_.clock.now() + 5s;
        if (rewound.error().code == Errc::cancelled) co_return false;  // somebody's wish is no failure
        seen_.server = co_await out_.server.observe(out_.clock.now() + 2s);
        // What is broken is replaced when another copy was seen.
        if (seen_.server.data_directory == DataDirectory::damaged) co_return false;
        // Else it starts, and says that it cannot follow. Who leads a standby cluster may have its only data.
        if (keeper_.held() || !seen_.abilities.remove_data_on_rewind_failure) co_return true;
    } else if (!seen_.abilities.remove_data_on_diverged_timelines || keeper_.held()) {
        log::error("pg_rewind cannot be used here; run `pgkeel reinit` for {}", identity_.name);
        co_return true;
    }
    log::warning("removing the data directory, as configured, to clone it anew");
    if (const auto removed = co_await out_.server.remove_data(""); !removed) {
        log::error("could not remove the data directory: {}", removed.error().line());
        co_return true;
    }
    seen_.history_diverged = false;
    co_return false;
}

// ---- changing sides

Task<> Node::promote() {
    if (!co_await fence_earlier_leaders()) co_return;
    if (const auto allowed = co_await out_.scripts.pre_promote(); !allowed) {
        log::error("pre_promote forbids the promotion: {}", allowed.error().line());
        seen_.pre_promote_backoff = out_.clock.now() + seen_.settings.ttl;
        co_await keeper_.release({});
        co_return;
    }
    if (const auto armed = co_await arm_fences(seen_.server.postmaster_pid); !armed) {
        log::error("not promoted: {}", armed.error().line());
        co_await keeper_.release({});
        co_return;
    }
    // A primary that acknowledges its first commit before the right standbys have it may lose it.
    const auto prepared = co_await sync_.prepare(known_sync_, seen_.settings);
    if (!prepared) {
        log::error("not promoting: {}", prepared.error().line());
        co_await keeper_.release({});
        co_return;
    }
    if (!keeper_.held() || out_.clock.now() >= keeper_.held()->demote_at()) {
        log::warning("lost leader before promote");
        co_return;
    }
    seen_.operation->committed = true;
    checkpoint_pending_ = true;
    seen_.following.clear();
    out_.scripts.call(Callback::on_role_change, Role::primary);
    called_role_ = Role::primary;
    const auto promoted = co_await out_.server.promote(60s);
    if (!promoted) {
        log::error("the promotion failed: {}", promoted.error().line());
        checkpoint_pending_ = false;  // others would wait for it for ever before they compare histories
        co_await out_.server.kill_everything();
        co_await keeper_.release({});
        co_return;
    }
    log::info("promoted: this server takes writes");
    spawn(out_.executor, "checkpoint after promote", checkpoint_after_promote());
}

/// Until it is done, pg_rewind on other nodes would see the old timeline in our control file.
Task<> Node::checkpoint_after_promote() {
    const auto done = co_await out_.server.checkpoint();
    if (!done) log::warning("the checkpoint after promotion failed: {}", done.error().line());
    checkpoint_pending_ = false;
    wake_.set();
}

/// An agent that was started again after a promotion, or a checkpoint that failed, leaves the old timeline in
/// pg_control: pg_rewind elsewhere would find nothing to do.
void Node::make_up_for_checkpoint() {
    const auto& control = seen_.server.control;
    const bool is_missing = seen_.server.is_primary() && control && !seen_.operation && control->checkpoint_timeline &&
                            control->checkpoint_timeline < seen_.server.timeline;
    if (!is_missing || !keeper_.held() || checkpoint_pending_) return;
    checkpoint_pending_ = true;
    spawn(out_.executor, "checkpoint after promote", checkpoint_after_promote());
}

Task<> Node::demote(ha::Demote how) {
    operation_state_ = "stopping";
    postgres::StopOptions options;
    const bool to_standby_cluster = how.how == ha::Demotion::to_standby_cluster;
    if (to_standby_cluster) {
        options = {.mode = postgres::StopMode::fast, .checkpoint_first = true, .timeout = 3600s, .on_shut_down = {}};
        options.archive_last_segment = true;
    } else if (how.how == ha::Demotion::graceful) {
        options = {.mode = postgres::StopMode::fast, .checkpoint_first = true, .timeout = 3600s, .on_shut_down = {}};
        options.on_shut_down = [this, candidate = how.candidate](Lsn position) {
            spawn(out_.executor, "release", release_when_received(position, candidate));
        };
    } else {
        options = {.mode = postgres::StopMode::immediate, .checkpoint_first = false, .timeout = 5s, .on_shut_down = {}};
        if (how.how == ha::Demotion::offline && keeper_.held()) {
            // A fast stop ends the clients at once, and its wal senders still send what was acknowledged: whoever leads
            // next has it. It gets most of the time that is left; at the deadline the lease keeper kills what remains.
            options.mode = postgres::StopMode::fast;
            options.urgent = true;
            options.timeout = std::max<Duration>(0s, (keeper_.held()->deadline() - out_.clock.now()) * 3 / 4);
        }
        if (how.how == ha::Demotion::immediate_nolock) keeper_.abandon();
    }
    log::info("demoting self ({})", ha::to_string(how.how));
    seen_.stopped_to_demote = true;
    const auto stopped = co_await out_.server.stop(options);
    if (!stopped) co_await out_.server.kill_everything();
    seen_.following.clear();
    if (to_standby_cluster) {
        out_.scripts.call(Callback::on_stop, Role::primary);
        co_return;  // the lease is kept: whoever leads a standby cluster takes no writes
    }
    // Those who wait for the release are served before this node does anything else.
    if (how.how == ha::Demotion::graceful || how.how == ha::Demotion::immediate) {
        const auto released = co_await keeper_.release(stopped.value_or(Lsn{}));
        if (!released) log::warning("could not release the leader key: {}", released.error().line());
        seen_.yield_until = out_.clock.now() + 2s;
    } else {
        keeper_.abandon();
    }
    out_.scripts.call(Callback::on_stop, Role::replica);
}

/// The server is shut down; the lease goes as soon as the one who shall take it has all of the WAL. The server may
/// still wait for its archiver meanwhile.
Task<> Node::release_when_received(Lsn shutdown_position, std::string candidate) {
    const Instant give_up = out_.clock.now() + 2s;
    while (keeper_.held() && seen_.view && out_.clock.now() < give_up) {
        const Member* member = seen_.view->member(candidate);
        if (!member) co_return;  // the release comes when the server has ended
        const PeerStatus peer = co_await out_.peers.probe(*member, out_.clock.now() + 500ms);
        if (peer.reachable && peer.position > shutdown_position) {
            log::info("{} has everything up to the shutdown checkpoint {}: releasing the leader key", candidate,
                      to_string(shutdown_position));
            const auto released = co_await keeper_.release(shutdown_position);
            if (!released) log::warning("could not release the leader key: {}", released.error().line());
            seen_.yield_until = out_.clock.now() + 2s;
            co_return;
        }
        co_await out_.clock.sleep_for(20ms);
    }
}

Task<> Node::shut_down_server() {
    for (int i = 0; i < 100 && seen_.operation; ++i) {  // what goes on is given up, or ends
        out_.server.cancel();
        co_await out_.clock.sleep_for(100ms);
    }
    co_await observe_server();
    if (seen_.settings.pause) {
        log::info("PAUSE: leaving PostgreSQL as it is");
    } else if (seen_.server.postmaster != Postmaster::absent) {
        const bool led = keeper_.held().has_value();
        if (!led) co_await leave_sync_duty();
        operation_state_ = "stopping";
        postgres::StopOptions options{
            .mode = postgres::StopMode::fast, .checkpoint_first = led, .timeout = 3600s, .on_shut_down = {}};
        if (led && seen_.view)
            for (const Member& member : seen_.view->members)
                if (member.name != identity_.name && member.replication_state == "streaming" && !member.tags.nofailover)
                    options.on_shut_down = [this, candidate = member.name](Lsn position) {
                        spawn(out_.executor, "release", release_when_received(position, candidate));
                    };
        const auto stopped = co_await out_.server.stop(options);
        if (!stopped) {
            log::error("could not stop PostgreSQL in order: {}", stopped.error().line());
            co_await out_.server.kill_everything();
        }
        if (const auto released = co_await keeper_.release(stopped.value_or(Lsn{})); !released)
            log::warning("could not release the leader key: {}", released.error().line());
        out_.scripts.call(Callback::on_stop, role());
        co_await observe_server();
    } else if (keeper_.held()) {
        co_await keeper_.release({});
    }
    operation_state_.clear();
    if (seen_.view) co_await publish_member();
    finished_ = true;
}

// ---- requests

Task<> Node::restart_server(Duration timeout) {
    const bool as_primary = seen_.server.running() ? seen_.server.is_primary() : !seen_.server.standby_signal;
    const std::string follow = seen_.following;
    operation_state_ = "restarting";
    restart_result_ = {503, "restart failed"};
    if (seen_.server.running()) {
        if (!as_primary) co_await leave_sync_duty();
        // primary_start_timeout, from which the time comes, may be 0, and says nothing of a stop that was asked for.
        const auto stopped = co_await out_.server.stop({.mode = postgres::StopMode::fast,
                                                        .checkpoint_first = true,
                                                        .timeout = std::max<Duration>(timeout, 60s),
                                                        .on_shut_down = {}});
        if (!stopped) {
            restart_result_ = {503, "restart failed: " + stopped.error().text};
            co_return;
        }
    }
    if (stopping_) co_return;  // what stops the agent waits for nobody any more: started now, it would run alone
    if (as_primary && !keeper_.held() && !seen_.settings.pause) {
        log::warning("the leader lease was lost during the restart: not starting as the primary");
        co_return;
    }
    const auto source = source_of(follow);
    Result<> up;
    if (as_primary) up = co_await arm_fences(0);
    if (up)
        up = co_await out_.server.start({.as_primary = as_primary,
                                         .source = source,
                                         .timeout = std::max<Duration>(timeout, 10s),
                                         .allowed = start_guard(as_primary)});
    if (!up) {
        log::error("restart failed: {}", up.error().line());
        if (as_primary && up.error().code != Errc::timed_out) seen_.start_failed = true;
        if (up.error().code == Errc::timed_out) restart_result_ = {503, "postgres is still starting"};
        co_return;
    }
    if (!as_primary) seen_.following = source || follow == ha::archive_source ? follow : std::string{};
    leaving_sync_duty_ = false;
    tell_role(Callback::on_restart);
    restart_result_ = {200, "restarted successfully"};
}

}  // namespace pgkeel::agent
