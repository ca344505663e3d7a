// What a decision does to the stage: the part of agent/node*.cpp, made plain.
#include "ha/wal_source.hpp"
#include "scenarios/stage.hpp"

#include "ha/sync_election.hpp"
#include "ha/sync_plan.hpp"

#include <algorithm>
#include <stdexcept>

namespace pgkeel::scenarios {

using namespace std::chrono_literals;
using simulation::Machine;
using State = Machine::State;

namespace {

std::optional<ha::Operation> operation_of(const ha::Action& action) {
    using ha::Operation;
    if (std::holds_alternative<ha::BootstrapCluster>(action)) return Operation::bootstrap;
    if (std::holds_alternative<ha::Clone>(action)) return Operation::clone;
    if (std::holds_alternative<ha::KillRemains>(action)) return Operation::stop;
    if (std::holds_alternative<ha::StartServer>(action)) return Operation::start;
    if (std::holds_alternative<ha::Rejoin>(action)) return Operation::rejoin;
    if (std::holds_alternative<ha::Promote>(action)) return Operation::promote;
    if (std::holds_alternative<ha::Demote>(action)) return Operation::stop;
    if (std::holds_alternative<ha::Follow>(action)) return Operation::follow;
    if (std::holds_alternative<ha::CompareHistory>(action)) return Operation::follow;
    if (std::holds_alternative<ha::Reinitialize>(action)) return Operation::reinit;
    return std::nullopt;
}

}  // namespace

bool Stage::carry_out(const std::string& name, Actor& each, const ha::Action& action) {
    ha::Snapshot& s = each.memory;
    if (const auto* probe = std::get_if<ha::ProbePeers>(&action)) {
        for (const std::string& peer : probe->names) s.peers[peer] = ask(name, peer);
        return true;
    }
    if (std::holds_alternative<ha::TakeLease>(action) || std::holds_alternative<ha::AdoptLease>(action))
        return take_lease(name, each);
    if (std::holds_alternative<ha::ReleaseLease>(action)) {
        if (s.server.is_primary())
            s.lease.reset();
        else
            release_lease(name, each);
        s.start_failed = false;
        return false;
    }
    if (std::holds_alternative<ha::ClearFailover>(action)) {
        if (!reaches_etcd(name)) return false;
        delete_key("failover");
        return true;
    }
    if (std::holds_alternative<ha::ClaimInitialize>(action)) {
        if (reaches_etcd(name) && !etcd_.initialize) etcd_.initialize = each.machine.system_identifier;
        return false;
    }
    if (std::holds_alternative<ha::UpdateHistory>(action)) {
        etcd_.history = each.machine.history;
        etcd_.has_history = true;
        etcd_.history_mod_revision = next_revision();
        return false;
    }
    if (std::holds_alternative<ha::CancelOperation>(action)) {
        s.operation.reset();
        each.begun.reset();
        return false;
    }
    if (std::holds_alternative<ha::Exit>(action)) {
        kill_agent(name);
        return false;
    }
    const auto operation = operation_of(action);
    if (!operation) return false;
    if (s.operation) {  // only a demotion comes while something else goes on, and there is no time to end that in order
        say("{}: every process of PostgreSQL is killed", name);
        each.machine.end_abruptly();
        s.operation.reset();
        each.begun.reset();
        return false;
    }
    if (!each.holds_operations) {
        complete(name, each, action);
        return false;
    }
    s.operation = ha::RunningOperation{*operation, now_, *operation == ha::Operation::promote};
    each.begun = action;
    if (const auto* start = std::get_if<ha::StartServer>(&action)) {
        each.machine.state = State::starting;
        each.machine.starts_as_primary = start->as_primary;
        each.machine.standby_signal = !start->as_primary;
    }
    if (std::holds_alternative<ha::BootstrapCluster>(action) && !etcd_.initialize) etcd_.initialize = name;
    return false;
}

void Stage::finish(const std::string& name, bool failed) {
    Actor& each = actor(name);
    if (!each.begun) throw std::runtime_error(name + " is not busy");
    const ha::Action action = *std::exchange(each.begun, std::nullopt);
    each.memory.operation.reset();
    if (!failed) {
        complete(name, each, action);
        check();
        return;
    }
    each.machine.end_abruptly();
    const auto* start = std::get_if<ha::StartServer>(&action);
    if (start && (start->as_primary || each.memory.lease)) each.memory.start_failed = true;
}

void Stage::complete(const std::string& name, Actor& each, const ha::Action& action) {
    ha::Snapshot& s = each.memory;
    Machine& m = each.machine;
    if (std::holds_alternative<ha::BootstrapCluster>(action)) bootstrap(name, each);
    if (const auto* clone = std::get_if<ha::Clone>(&action)) {
        copy_from(each, clone->from);
        if (m.has_data) start_server(each, false, etcd_.leader ? etcd_.leader->name : clone->from);
    }
    if (std::holds_alternative<ha::KillRemains>(action)) {
        each.orphans = false;
        m.end_abruptly();
    }
    if (const auto* start = std::get_if<ha::StartServer>(&action)) start_server(each, start->as_primary, start->follow);
    if (std::holds_alternative<ha::Promote>(action)) {
        promote(m);
        s.following.clear();
        each.checkpoint_pending = true;
    }
    if (const auto* demote = std::get_if<ha::Demote>(&action)) {
        const bool keeps_lease = demote->how == ha::Demotion::to_standby_cluster;
        const bool in_order = demote->how == ha::Demotion::graceful || keeps_lease;
        stop_server(each, in_order);
        s.stopped_to_demote = true;
        if (keeps_lease) return;
        if (in_order || demote->how == ha::Demotion::immediate)
            release_lease(name, each);
        else
            s.lease.reset();
    }
    if (const auto* follow = std::get_if<ha::Follow>(&action)) m.follows = s.following = follow->source;
    const auto* compare = std::get_if<ha::CompareHistory>(&action);
    const auto* rejoin = std::get_if<ha::Rejoin>(&action);
    if (compare || rejoin) {
        const std::string leader = compare ? compare->leader : rejoin->leader;
        if (rejoin && m.running()) stop_server(each, true);
        if (rejoin && leader.empty()) {
            m.control = ControlState::shut_down;
            start_server(each, false, {});
            return;
        }
        const Machine* other = source_of(name, leader);
        s.history_tried_at = now_;
        if (!other || other->state != State::primary || other->hung) {
            say("{}: {} does not answer", name, leader);
            if (rejoin) s.retry_start_at = now_ + 1s;
            if (rejoin && ha::is_remote_source(leader)) start_server(each, false, ha::wal_source(s));
            return;
        }
        s.history_checked_epoch = etcd_.leader->create_revision;
        s.history_diverged = m.diverged_from(*other);
        if (compare) return;
        if (s.history_diverged && each.abilities.can_rewind) {
            say("{}: rewound to {}", name, leader);
            copy_from(each, leader);
            s.history_diverged = false;
        }
        start_server(each, false, ha::wal_source(s));
    }
    if (const auto* reinit = std::get_if<ha::Reinitialize>(&action)) {
        s.reinit_requested = false;
        s.history_diverged = false;
        s.history_checked_epoch = 0;
        m.end_abruptly();
        copy_from(each, reinit->from);
        start_server(each, false, reinit->from);
    }
}

bool Stage::take_lease(const std::string& name, Actor& each) {
    if (!reaches_etcd(name)) return false;
    if (ha::binding_sync(each.memory)) write_sync(ha::succeed(*etcd_.sync, name));
    const bool adopts = etcd_.leader && etcd_.leader->name == name;
    const std::int64_t epoch = adopts ? etcd_.leader->create_revision : 0;
    open_key(name, each);
    if (adopts) etcd_.leader->create_revision = each.memory.lease->epoch = epoch;
    if (etcd_.failover && etcd_.failover->scheduled_at.empty() && etcd_.failover->candidate == name)
        delete_key("failover");
    each.memory.yield_until = {};
    each.memory.retry_start_at = {};
    return true;
}

/// The leader key and the first heartbeat under it.
void Stage::open_key(const std::string& name, Actor& each) {
    const std::int64_t revision = next_revision();
    etcd_.leader = LeaderKey{name, 1, revision, revision};
    StatusKey& status = etcd_.status;
    ++status.heartbeat;
    status.holder = name;
    status.ttl_seconds = settings.ttl.count();
    status.released_epoch = 0;
    status.mod_revision = revision;
    each.memory.lease = ha::HeldLease{revision, now_, ha::LeaseTerms::of(settings)};
}

void Stage::release_lease(const std::string& name, Actor& each) {
    if (!each.memory.lease) return;
    if (reaches_etcd(name) && etcd_.leader && etcd_.leader->name == name) {
        etcd_.leader.reset();
        ++etcd_.status.heartbeat;
        etcd_.status.released_epoch = each.memory.lease->epoch;
        etcd_.status.mod_revision = next_revision();
        if (each.machine.control == ControlState::shut_down) etcd_.status.optime = each.machine.position;
    }
    each.memory.lease.reset();
    each.memory.yield_until = now_ + 2s;
}

void Stage::start_server(Actor& each, bool as_primary, const std::string& follow) {
    Machine& m = each.machine;
    m.starts_as_primary = as_primary;
    m.standby_signal = !as_primary;
    m.follows = follow;
    m.state = as_primary ? State::primary : State::standby;
    each.memory.following = as_primary ? std::string{} : follow;
    if (!each.starts_fail) return;
    m.state = State::starting;
    m.end_abruptly();
    each.memory.following.clear();
    each.memory.start_failed = as_primary;
    each.memory.retry_start_at = now_ + std::min<Duration>(settings.loop_wait, 5s);
}

void Stage::copy_from(Actor& each, const std::string& source) {
    Machine& m = each.machine;
    const Machine* from = nullptr;
    if (ha::is_remote_source(source) && remote_) from = &*remote_;
    for (const auto& [name, other] : actors_)  // without a source: from a backup, which holds what the cluster last had
        if (other.machine.has_data && name != m.name && (source.empty() || name == source)) from = &other.machine;
    if (!from) return;
    m.has_data = true;
    m.system_identifier = from->system_identifier;
    m.timeline = from->timeline;
    m.history = from->history;
    m.position = from->position;
    m.standby_signal = true;
    m.control = ControlState::in_archive_recovery;
}

void Stage::stop_server(Actor& each, bool in_order) {
    Machine& m = each.machine;
    if (!in_order) {
        m.end_abruptly();
        return;
    }
    const bool was_primary = m.state == State::primary;
    if (was_primary) {
        m.position.bytes += 120;  // the shutdown checkpoint
        ship_wal();
    }
    m.state = State::down;
    m.control = was_primary ? ControlState::shut_down : ControlState::shut_down_in_recovery;
    each.memory.following.clear();
}

void Stage::bootstrap(const std::string& name, Actor& each) {
    if (!reaches_etcd(name) || (etcd_.initialize && etcd_.initialize != name)) return;
    Machine& m = each.machine;
    m.has_data = true;
    m.system_identifier = "7000000000000000001";
    m.timeline = Timeline{1};
    m.history.clear();
    m.position = Lsn{0x1000000};
    if (settings.standby_cluster) copy_from(each, ha::remote_source(settings.remote));
    start_server(each, !settings.standby_cluster,
                 settings.standby_cluster ? ha::remote_source(settings.remote) : std::string{});
    etcd_.initialize = m.system_identifier;
    open_key(name, each);
    etcd_.status.optime = m.position;
}

}  // namespace pgkeel::scenarios
