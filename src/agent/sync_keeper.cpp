#include "agent/sync_keeper.hpp"

#include "async/spawn.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

constexpr Duration quiet_interval = 1s;
constexpr Duration busy_interval = 100ms;
constexpr Duration retry_interval = 500ms;
/// How long a wal sender may take to show that it has taken a new rule before it is ended.
constexpr Duration confirm_within = 1500ms;
constexpr Duration look_within = 300ms;
constexpr Duration poll_interval = 30ms;

bool may_hold_another(const ha::SyncState& state, const ReplicationClient& client) {
    return state.others_unknown || std::ranges::any_of(state.rules, [&](const SyncRule& rule) {
               return rule.names.contains(client.application_name);
           });
}

std::string shown(const SyncRule& rule) {
    return rule.names.empty() ? "nobody" : to_setting(rule);
}

}  // namespace

SyncKeeper::SyncKeeper(Parts parts, std::string name)
    : parts_(std::move(parts)), name_(std::move(name)), key_(parts_.store, parts_.keys, name_, parts_.keys.sync()) {}

void SyncKeeper::begin_tenure(const ha::Snapshot& seen) {
    epoch_ = seen.lease->epoch;
    server_started_ = seen.server.postmaster_start_time;
    state_ = {};
    // The server may have been given it by a process before this one, or by an operator: only what we have set, and
    // what it shows, is known to be in force. Confirmed it is not.
    if (set_rule_ && seen.server.synchronous_standby_names == to_setting(*set_rule_)) state_.set(*set_rule_);
    mark_ = {};
    memory_ = {.streamed_at = {}, .leading_since = seen.now};
    key_.begin_tenure();
    open_ = false;
    restored_ = false;
    retry_at_ = {};
}

void SyncKeeper::consider(const ha::Snapshot& seen) {
    look_again_ = Instant::max();
    ttl_ = seen.settings.ttl;
    if (!seen.lease || !seen.server.is_primary()) {
        if (!seen.operation || seen.operation->kind != ha::Operation::restart) epoch_ = 0;
        open_ = false;
        return;
    }
    if (busy_ || seen.operation || !seen.view || !key_.knows(seen.view->revision)) return;
    if (seen.looked_at < step_ended_at_) {
        look_again_ = seen.now;
        return;
    }
    if (epoch_ != seen.lease->epoch || server_started_ != seen.server.postmaster_start_time) begin_tenure(seen);
    ha::remember_standbys(seen, memory_);
    const bool is_off = seen.settings.synchronous_mode == SynchronousMode::off;
    if (!is_off || !restored_) look_again_ = seen.now + quiet_interval;
    if (seen.now < retry_at_) {
        look_again_ = retry_at_;
        return;
    }
    if (is_off)
        turn_off(seen);
    else
        keep(seen);
}

void SyncKeeper::run(Task<> step) {
    busy_ = true;
    spawn(parts_.executor, "synchronous replication", run_step(std::move(step)));
}

Task<> SyncKeeper::run_step(Task<> step) {
    co_await std::move(step);
    busy_ = false;
    step_ended_at_ = parts_.clock.now();
    parts_.wake();
}

void SyncKeeper::turn_off(const ha::Snapshot& seen) {
    open_ = true;
    const ClusterView& view = *seen.view;
    // Patroni leaves a key that names nobody; it binds nobody either.
    if (view.sync_mod_revision != 0 && !(view.sync && view.sync->leader.empty()))
        run(remove_key(view.sync_mod_revision));
    else if (!restored_)
        run(restore_names());
}

void SyncKeeper::keep(const ha::Snapshot& seen) {
    const ClusterView& view = *seen.view;
    restored_ = false;
    if (!open_ && !std::exchange(passing_barrier_, true)) spawn(parts_.executor, "barrier", pass_barrier());
    if (!view.sync || view.sync->leader != name_) {
        // What others acknowledged before is not known to be anywhere but here.
        run(write_key({.leader = name_, .members = {}, .quorum = 0, .mod_revision = 0}, view.sync_mod_revision));
        return;
    }
    state_.votes = ha::votes_of(*view.sync);
    if (key_.in_doubt()) {
        run(write_key(*view.sync, view.sync_mod_revision));
        return;
    }
    if (!state_.rules.empty() && seen.server.synchronous_standby_names != to_setting(state_.rules.back())) {
        log::warning("synchronous_standby_names is '{}' and was set to '{}': setting it again",
                     seen.server.synchronous_standby_names, to_setting(state_.rules.back()));
        state_.rules.clear();
        state_.others_unknown = true;
    }
    const ha::SyncWish wish = ha::sync_wish(seen, state_, memory_);
    if (std::exchange(nobody_left_, wish.nobody_left) != wish.nobody_left && wish.nobody_left)
        log::warning(
            "No active replication connections from Patroni members and synchronous_mode_strict is requested: commits "
            "wait");
    const ha::SyncStep step = ha::next_sync_step(state_, wish.target);
    if (const auto* names = std::get_if<ha::SetNames>(&step)) run(set_names(names->rule));
    if (std::holds_alternative<ha::ConfirmNames>(step)) run(confirm_names());
    if (const auto* votes = std::get_if<ha::WriteVotes>(&step))
        run(write_key({.leader = name_,
                       .members = {votes->votes.voters.begin(), votes->votes.voters.end()},
                       .quorum = votes->votes.quorum,
                       .mod_revision = 0},
                      view.sync_mod_revision));
    if (!std::holds_alternative<std::monostate>(step)) look_again_ = seen.now + busy_interval;
}

void SyncKeeper::failed(const std::string& what, const Error& error) {
    log::warning("{}: {}", what, error.line());
    retry_at_ = parts_.clock.now() + retry_interval;
}

Task<> SyncKeeper::set_names(SyncRule rule) {
    state_.begin(rule);
    const auto set = co_await parts_.server.set_synchronous_standbys(rule);
    if (!set) {
        failed("could not change whom commits wait for", set.error());
        co_return;
    }
    set_rule_ = rule;
    rule_epoch_ = epoch_;
    mark_ = {};
    state_.set(rule);
    log::info("commits wait for {}", shown(rule));
    co_await confirm_names();
}

/// The first half of a confirmation: which wal senders there are, and then the mark that they have to tell of.
Task<bool> SyncKeeper::write_mark() {
    const ServerState server = co_await parts_.server.observe(parts_.clock.now() + 1s);
    if (!server.is_primary()) co_return false;
    senders_.clear();
    for (const ReplicationClient& client : server.replication)
        if (client.state != "backup" && may_hold_another(state_, client)) senders_.push_back(client.pid);
    const auto mark = co_await parts_.server.write_mark();
    if (!mark) {
        failed("could not confirm whom commits wait for", mark.error());
        co_return false;
    }
    mark_ = *mark;
    marked_at_ = parts_.clock.now();
    co_return true;
}

Task<> SyncKeeper::confirm_names() {
    if (state_.rules.empty() || (!mark_ && !co_await write_mark())) co_return;
    const SyncRule rule = state_.rules.back();
    // Not for long: meanwhile another standby may have come, for whom the rule has to change.
    const Instant end = parts_.clock.now() + look_within;
    while (leads() && parts_.clock.now() < end) {
        const ServerState server = co_await parts_.server.observe(parts_.clock.now() + 1s);
        if (!server.is_primary()) co_return;
        const ha::Confirmation seen = ha::confirmation(rule, senders_, server.replication, mark_);
        if (seen.done()) {
            state_.confirm();
            co_return;
        }
        if (parts_.clock.now() - marked_at_ > confirm_within) co_await end_stalled(seen.stalled);
        co_await parts_.clock.sleep_for(poll_interval);
    }
}

Task<> SyncKeeper::end_stalled(std::vector<int> senders) {
    for (const int pid : senders) {
        log::warning("ending the wal sender {}, which does not take the new synchronous_standby_names", pid);
        if (const auto ended = co_await parts_.server.end_wal_sender(pid); !ended)
            failed("could not end it", ended.error());
    }
}

Task<> SyncKeeper::write_key(SyncKey sync, etcd::Revision mod_revision) {
    const auto done = co_await key_.write(cluster::write_sync(sync), mod_revision, epoch_,
                                          parts_.clock.now() + std::clamp<Duration>(ttl_ / 5, 1s, 3s));
    if (!done)
        failed("could not write the key sync", done.error());
    else if (*done)
        log::info("the key sync names {} with quorum {}",
                  sync.members.empty() ? "no standby" : fmt::format("{}", fmt::join(sync.members, ",")), sync.quorum);
    else
        retry_at_ = parts_.clock.now() + busy_interval;
}

Task<> SyncKeeper::remove_key(etcd::Revision mod_revision) {
    const auto done = co_await key_.write("", mod_revision, epoch_, parts_.clock.now() + 2s);
    if (!done) failed("could not remove the key sync", done.error());
}

Task<> SyncKeeper::restore_names() {
    const auto set = co_await parts_.server.set_synchronous_standbys(std::nullopt);
    if (!set)
        failed("could not give synchronous_standby_names back", set.error());
    else
        restored_ = true;
    set_rule_.reset();
    state_ = {};
}

Task<> SyncKeeper::pass_barrier() {
    const std::int64_t epoch = epoch_;
    const auto passed = co_await parts_.server.commit_barrier(std::max<Duration>(ttl_, 10s));
    passing_barrier_ = false;
    if (!passed) {
        log::warning("this primary's WAL is not on its synchronous standbys yet: {}", passed.error().line());
        co_return;
    }
    if (leads() && epoch == epoch_) open_ = true;
}

Task<Result<>> SyncKeeper::prepare(std::optional<SyncKey> sync, ClusterSettings settings) {
    if (settings.synchronous_mode == SynchronousMode::off) {
        set_rule_.reset();
        co_return Result<>{};
    }
    const std::int64_t epoch = parts_.lease.held() ? parts_.lease.held()->epoch : 0;
    SyncRule rule;
    if (set_rule_ && epoch != 0 && rule_epoch_ == epoch) {
        rule = *set_rule_;  // whatever the key says since, this one goes with it
    } else {
        if (sync && sync->leader == name_ && key_.in_doubt()) {
            // A process before this one may have written something that has not arrived yet.
            const auto sure =
                co_await key_.write(cluster::write_sync(*sync), sync->mod_revision, epoch, parts_.clock.now() + 2s);
            if (!sure) co_return std::unexpected(sure.error());
            if (!*sure) co_return fail(Errc::conflict, "the key sync has changed meanwhile");
        }
        ha::SyncVotes votes;
        if (sync && !sync->leader.empty()) votes = ha::votes_of(ha::succeed(*sync, name_));
        rule =
            ha::rule_for(votes, settings.synchronous_mode == SynchronousMode::quorum, settings.synchronous_mode_strict);
    }
    auto set = co_await parts_.server.set_synchronous_standbys(rule);
    if (set) {
        set_rule_ = rule;
        rule_epoch_ = epoch;
        log::info("commits will wait for {}", shown(rule));
    }
    co_return set;
}

}  // namespace pgkeel::agent
