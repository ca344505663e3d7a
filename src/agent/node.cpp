#include "agent/node.hpp"

#include "async/spawn.hpp"
#include "cluster/transactions.hpp"
#include "config/dynamic_config.hpp"
#include "ha/election.hpp"
#include "ha/slots.hpp"
#include "ha/switchover.hpp"
#include "ha/sync_election.hpp"
#include "log/log.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace json = boost::json;

namespace {

/// Decisions carried out at once may open the next one (won the race: promote); more in a row would be a loop.
constexpr int rounds_max = 8;

json::object parse_object(const std::string& text) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    return !error && value.is_object() ? std::move(value.get_object()) : json::object{};
}

/// Patroni from 3.2.0 on clamps its own view of ttl; while such a member is there, its floor holds for everybody.
bool has_clamping_patroni(const ClusterView& view) {
    return std::any_of(view.members.begin(), view.members.end(), [](const Member& member) {
        if (member.runs_pgkeel || member.version.empty()) return false;
        int major = 0;
        int minor = 0;
        std::sscanf(member.version.c_str(), "%d.%d", &major, &minor);
        return major > 3 || (major == 3 && minor >= 2);
    });
}

}  // namespace

Node::Node(Outside outside, cluster::Keys keys, Identity identity, std::string initial_config_json)
    : out_(outside),
      keys_(std::move(keys)),
      identity_(std::move(identity)),
      keeper_(out_.clock, out_.store, keys_, identity_.name,
              {[this] { return status_to_publish(); },
               [this](const std::string& why) {
                   log::warning("lost the leader lease: {}", why);
                   wake_.set();
               },
               [this] {
                   // A promotion that has just ended may not have been looked at yet. A standby leader that asks the
                   // other cluster for its history writes nothing.
                   const bool busy = seen_.operation && seen_.operation->kind != ha::Operation::follow;
                   const bool standby = seen_.server.accepts_connections && seen_.server.in_recovery && !busy &&
                                        called_role_ != Role::primary;
                   if (!seen_.settings.pause && !standby) fence("the leader lease ends and could not be renewed");
               },
               [this](const ha::HeldLease& lease) { out_.fences.renewed(lease); },
               [this] { out_.fences.disarm(Fences::Disarmed::no_writes); }}),
      sync_({out_.executor, out_.clock, out_.store, out_.server, keys_, keeper_, [this] { wake_.set(); }},
            identity_.name),
      failsafe_({out_.executor, out_.clock, out_.store, out_.peers, keys_, keeper_, [this] { wake_.set(); }},
                identity_.name),
      dynamic_config_(std::move(initial_config_json)) {
    seen_.name = identity_.name;
    seen_.tags = identity_.tags;
    std::vector<std::string> warnings;
    seen_.settings = config::settings_of(parse_object(dynamic_config_), false, warnings);
    keeper_.use(seen_.settings);
    out_.fences.use(seen_.settings);
}

Node::~Node() = default;

Task<Result<>> Node::run() {
    out_.server.on_exit([this] { wake_.set(); });
    spawn(out_.executor, "lease keeper", keeper_.run());
    spawn(out_.executor, "failsafe", failsafe_.run());
    spawn(out_.executor, "watch", watch_forever());
    while (!finished_) {
        co_await cycle();
        if (finished_ || fatal_) break;
        const Instant now = out_.clock.now();
        const Instant tick = last_cycle_ + seen_.settings.loop_wait;
        const Instant wanted = std::min({look_again_, schedule_wakes_at_, sync_.look_again()});
        const bool woken = co_await wake_.wait(out_.clock, std::max(now + 20ms, std::min(tick, wanted)));
        only_a_tick_ = !woken && out_.clock.now() < wanted;
    }
    keeper_.stop();
    failsafe_.stop();
    if (fatal_) co_return std::unexpected(*fatal_);
    co_return Result<>{};
}

void Node::shut_down() {
    stopping_ = true;
    wake_.set();
}

Task<> Node::cycle() {
    last_cycle_ = out_.clock.now();
    look_again_ = Instant::max();
    keeper_.come_along();
    do {
        after_operation_ = std::exchange(operation_ended_, false);
        co_await look();
        only_a_tick_ = false;
    } while (operation_ended_);  // what was seen may be older than what the operation did
    if (fatal_) co_return;  // an operation has ended so: nothing more is begun
    if (stopping_) {
        co_await shut_down_server();
        co_return;
    }
    heed_leader();
    make_up_for_checkpoint();
    co_await use_dynamic_config();
    co_await keep_fences();
    co_await run_due_restart();
    for (int round = 0; round < rounds_max; ++round) {
        seen_.now = out_.clock.now();
        seen_.wall_now = out_.clock.wall_now();
        seen_.lease = keeper_.held();
        seen_.failsafe_active = failsafe_.extends_lease();
        seen_.releasing = keeper_.releasing();
        seen_.unfit_to_lead = out_.fences.unfit();
        Storage::Trouble trouble = out_.storage.trouble(seen_.now);
        seen_.cannot_write = std::move(trouble.why);
        seen_.writes_hang = trouble.hangs;
        if (!seen_.lease || seen_.server.is_primary()) seen_.start_failed = false;
        const ha::Decision decision = ha::decide(seen_);
        note(decision);
        look_again_ = std::min(decision.look_again, read_again_);
        if (!co_await apply(decision)) break;
        if (operation_ended_) {
            wake_.set();
            break;
        }
    }
    sync_.consider(seen_);
    if (seen_.view)
        tell_slots();
    else
        note_slots_without_store();
    failsafe_.consider(seen_, identity_.conn_url, identity_.api_url, told_slots_);
    if (seen_.view) {
        co_await keep_slots();
        co_await publish_member();
    }
}

Task<> Node::look() {
    seen_.looked_at = out_.clock.now();
    std::vector<Task<>> both;
    both.push_back(read_view());
    both.push_back(observe_server());
    co_await all_of(std::move(both));
}

Task<> Node::observe_server() {
    const Instant asked = out_.clock.now();
    Instant deadline = asked + 2s;
    if (keeper_.held()) deadline = std::min(deadline, std::max(out_.clock.now() + 200ms, keeper_.held()->demote_at()));
    const bool last_in_recovery = seen_.server.in_recovery;
    const Lsn last_position = seen_.server.position();
    seen_.server = co_await out_.server.observe(deadline);
    server_asked_at_ = asked;
    if (seen_.server.query_failed) seen_.server.in_recovery = last_in_recovery;
    if (seen_.server.in_recovery && last_position && last_position < seen_.server.position())
        seen_.position_moved_at = out_.clock.now();
    seen_.abilities = out_.server.abilities();
    const bool starting = seen_.server.running() && !seen_.server.accepts_connections && !seen_.server.query_failed;
    if (!starting)
        seen_.server_starting_since = {};
    else if (seen_.server_starting_since == Instant{})
        seen_.server_starting_since = out_.clock.now();
    if (!seen_.server.halted || seen_.operation)
        seen_.server_halted_since = {};
    else if (seen_.server_halted_since == Instant{})
        seen_.server_halted_since = out_.clock.now();
    if (!seen_.server.running())
        seen_.following.clear();
    else if (!seen_.operation)
        seen_.stopped_to_demote = false;
}

Task<> Node::use_dynamic_config() {
    if (seen_.view && !seen_.view->config && keeper_.held() && !dynamic_config_.empty()) {
        log::info("writing the lost key config");
        co_await out_.store.commit(
            {{etcd::Compare::absent(keys_.config())}, {etcd::Operation::put(keys_.config(), dynamic_config_)}, {}},
            out_.clock.now() + 1s);
    }
    const bool clamp = seen_.view && has_clamping_patroni(*seen_.view);
    const bool changed = seen_.view && seen_.view->config && *seen_.view->config != dynamic_config_;
    if (changed || clamp != clamped_) {
        if (changed) dynamic_config_ = *seen_.view->config;
        clamped_ = clamp;
        std::vector<std::string> warnings;
        const RemotePrimary remote = seen_.settings.remote;
        const bool was_standby_cluster = seen_.settings.standby_cluster;
        seen_.settings = config::settings_of(parse_object(dynamic_config_), clamp, warnings);
        if (was_standby_cluster != seen_.settings.standby_cluster || remote != seen_.settings.remote) {
            // Another primary is the measure now.
            seen_.history_diverged = false;
            seen_.history_checked_epoch = 0;
            seen_.history_tried_at = {};
        }
        for (const std::string& warning : warnings) log::warning("{}", warning);
        for (const std::string& key : config::misspelt_dynamic_keys(parse_object(dynamic_config_)))
            log::warning("{}", key);
        keeper_.use(seen_.settings);
        out_.fences.use(seen_.settings);
    }
    if (change_server_ && !seen_.operation && !fencing_ && change_server_()) {
        change_server_ = nullptr;
        force_reload_ = true;
    }
    // Nothing is written into the data directory of another cluster.
    const std::string& identifier = seen_.server.system_identifier;
    if (seen_.view && seen_.view->initialize && !identifier.empty() && *seen_.view->initialize != identifier &&
        seen_.view->initialize->find_first_not_of("0123456789") == std::string::npos)
        co_return;
    const bool can_apply = !seen_.operation && seen_.view && seen_.view->config;
    if (!can_apply || (applied_config_ == dynamic_config_ && !force_reload_)) co_return;
    const bool forced = std::exchange(force_reload_, false);
    applied_config_ = dynamic_config_;
    if (const auto applied = co_await out_.server.apply_configuration(dynamic_config_, forced); !applied)
        log::error("could not apply the configuration: {}", applied.error().line());
    else if (forced)
        out_.scripts.call(Callback::on_reload, role());
    seen_.abilities = out_.server.abilities();
}

void Node::note(const ha::Decision& decision) {
    const bool is_new = recorder_.note(decision, seen_);
    const bool tick = out_.clock.now() - last_line_ >= std::max<Duration>(seen_.settings.loop_wait, 10s);
    if (!is_new && !(tick && std::holds_alternative<ha::Wait>(decision.action))) return;
    last_line_ = out_.clock.now();
    for (const std::string& line : decision.notes) log::info("{}", line);
    if (!std::holds_alternative<ha::Exit>(decision.action))
        log::info("{}", decision.text);  // an exit is said by whoever ends
}

Task<bool> Node::apply(const ha::Decision& decision) {
    const ha::Action& action = decision.action;
    if (std::holds_alternative<ha::Wait>(action)) co_return false;
    if (const auto* probe = std::get_if<ha::ProbePeers>(&action)) {
        co_await ask_peers(probe->names);
        co_return true;
    }
    if (std::holds_alternative<ha::TakeLease>(action) || std::holds_alternative<ha::AdoptLease>(action)) {
        const bool take = std::holds_alternative<ha::TakeLease>(action);
        note_unfenced(take);
        std::optional<SyncKey> sync;
        if (ha::binding_sync(seen_)) sync = ha::succeed(*seen_.view->sync, identity_.name);
        const auto ours = take ? co_await keeper_.take(*seen_.view, sync) : co_await keeper_.adopt(*seen_.view);
        if (ours && *ours) {
            if (take) seen_.key_is_old = false;
            took_over();
            co_await keep_fences();
            co_return true;
        }
        if (!ours)
            log::warning("could not {} the leader key: {}", take ? "take" : "adopt", ours.error().line());
        else
            log::info("the leader key went to somebody else, or changed meanwhile");
        look_again_ = out_.clock.now() + 100ms;
        co_return false;
    }
    if (std::holds_alternative<ha::ReleaseLease>(action)) {
        co_await release_lease(decision.reason);
        co_return false;
    }
    if (std::holds_alternative<ha::ClearFailover>(action)) {
        const auto cleared = co_await out_.store.commit(
            {{etcd::Compare::unchanged(keys_.failover(), seen_.view->failover->mod_revision)},
             {etcd::Operation::put(keys_.failover(), "{}")},
             {}},
            out_.clock.now() + 1s);
        if (!cleared) log::warning("could not clear the key failover: {}", cleared.error().line());
        seen_.view->failover.reset();
        co_return cleared.has_value();
    }
    if (std::holds_alternative<ha::ClaimInitialize>(action)) {
        const auto claimed =
            co_await out_.store.commit({{etcd::Compare::absent(keys_.initialize())},
                                        {etcd::Operation::put(keys_.initialize(), seen_.server.system_identifier)},
                                        {}},
                                       out_.clock.now() + 1s);
        if (!claimed) log::warning("could not write the key initialize: {}", claimed.error().line());
        look_again_ = out_.clock.now() + 50ms;
        co_return false;
    }
    if (std::holds_alternative<ha::UpdateHistory>(action)) {
        co_await update_history();
        co_return false;
    }
    if (std::holds_alternative<ha::CancelOperation>(action)) {
        out_.server.cancel();
        co_return false;
    }
    if (std::holds_alternative<ha::Exit>(action)) {
        const bool foreign = decision.reason == ha::Reason::foreign_data;
        fatal_ = Error{Errc::unsafe, fmt::format("{}: {}", decision.text, identity_.data_directory),
                       foreign ? "empty it, or set postgresql.data_dir to another one"
                               : "are scope and postgresql.data_dir right? To make this node a copy of that cluster, "
                                 "move the directory away first"};
        co_return false;
    }
    if (const auto* demotion = std::get_if<ha::Demote>(&action)) {
        if (seen_.operation)
            fence(decision.text);  // there is no time to end in order what is going on
        else
            start(ha::Operation::stop, demote(*demotion));
        co_return false;
    }
    start_operation(action);
    co_return false;
}

void Node::start_operation(const ha::Action& action) {
    using ha::Operation;
    if (std::holds_alternative<ha::BootstrapCluster>(action)) start(Operation::bootstrap, bootstrap());
    if (const auto* clone_from = std::get_if<ha::Clone>(&action)) start(Operation::clone, clone(clone_from->from));
    if (std::holds_alternative<ha::KillRemains>(action)) start(Operation::stop, out_.server.kill_everything());
    if (const auto* how = std::get_if<ha::StartServer>(&action))
        start(Operation::start, start_server(how->as_primary, how->follow));
    if (const auto* how = std::get_if<ha::Rejoin>(&action)) start(Operation::rejoin, rejoin(how->leader));
    if (std::holds_alternative<ha::Promote>(action)) start(Operation::promote, promote());
    if (const auto* how = std::get_if<ha::Follow>(&action)) start(Operation::follow, follow(how->source));
    if (const auto* how = std::get_if<ha::CompareHistory>(&action))
        start(Operation::follow, compare_history(how->leader));
    if (const auto* how = std::get_if<ha::Reinitialize>(&action))
        start(Operation::reinit, reinitialize_from(how->from));
}

void Node::start(ha::Operation kind, Task<> body) {
    seen_.operation = ha::RunningOperation{kind, out_.clock.now(), false};
    spawn(out_.executor, ha::to_string(kind), run_operation(std::move(body)));
}

Task<> Node::run_operation(Task<> body) {
    co_await std::move(body);
    seen_.operation.reset();
    operation_state_.clear();
    operation_ended_ = true;
    if (const auto done = std::exchange(restart_done_, nullptr)) done->set();
    wake_.set();
}

void Node::took_over() {
    const auto& lease = *keeper_.held();
    seen_.lease = lease;
    seen_.view->leader = LeaderKey{identity_.name, keeper_.lease(), lease.epoch, lease.epoch};
    seen_.view->status.heartbeat = std::max<std::uint64_t>(seen_.view->status.heartbeat, 1);
    seen_.view->status.holder = identity_.name;
    known_leader_ = identity_.name;
    seen_.yield_until = {};
    seen_.retry_start_at = {};
    demoted_ = false;
    const auto& request = seen_.view->failover;
    if (request && request->scheduled_at.empty()) {
        // What was seen keeps the request: a paused cluster promotes nobody without one.
        spawn(out_.executor, "clear failover", clear_failover(request->mod_revision));
    }
}

Task<> Node::clear_failover(std::int64_t mod_revision) {
    const auto cleared = co_await out_.store.commit({{etcd::Compare::unchanged(keys_.failover(), mod_revision)},
                                                     {etcd::Operation::put(keys_.failover(), "{}")},
                                                     {}},
                                                    out_.clock.now() + 2s);
    if (!cleared) log::warning("could not clear the key failover: {}", cleared.error().line());
}

Task<> Node::release_lease(ha::Reason reason) {
    const ServerState& server = seen_.server;
    const bool stopped = server.postmaster == Postmaster::absent;
    const bool standby = server.accepts_connections && server.in_recovery;
    if (!stopped && !standby) {
        keeper_.abandon();  // it may still take writes: the mark that it does not would be a lie
        co_return;
    }
    if (reason == ha::Reason::start_failed) {
        demoted_ = true;
        out_.scripts.call(Callback::on_role_change, Role::demoted);
    }
    const auto released = co_await keeper_.release(seen_.view ? seen_.view->status.optime : Lsn{});
    if (!released) log::warning("could not release the leader key: {}", released.error().line());
    seen_.start_failed = false;
    seen_.yield_until = out_.clock.now() + 2s;
    wake_.set();
}

Task<> Node::ask_peers(std::vector<std::string> names) {
    std::vector<Task<>> questions;
    const Deadline deadline = out_.clock.now() + 1s;
    for (const std::string& name : names)
        if (const Member* member = seen_.view->member(name)) questions.push_back(ask_peer(*member, deadline));
    co_await all_of(std::move(questions));
}

Task<> Node::ask_peer(Member member, Deadline deadline) {
    const Instant asked = out_.clock.now();
    PeerStatus answer = co_await out_.peers.probe(member, deadline);
    answer.asked = asked;
    answer.seen = out_.clock.now();
    seen_.peers[member.name] = std::move(answer);
}

void Node::fence(const std::string& why) {
    log::critical("killing every process of PostgreSQL: {}", why);
    if (std::exchange(fencing_, true)) return;
    out_.server.cancel();
    spawn(out_.executor, "fence", end_fenced());
}

Task<> Node::end_fenced() {
    co_await out_.server.kill_everything();
    seen_.stopped_to_demote = true;
    fencing_ = false;
    operation_ended_ = true;
    wake_.set();
}

}  // namespace pgkeel::agent
