#include "scenarios/stage.hpp"

#include "ha/wal_source.hpp"

#include <algorithm>
#include <stdexcept>

namespace pgkeel::scenarios {

using namespace std::chrono_literals;
using simulation::Machine;
using State = Machine::State;

namespace {

constexpr auto step = 100ms;
constexpr int rounds_max = 8;  // as in agent/node.cpp

bool serves(const Actor& actor) {
    const Machine& m = actor.machine;
    return actor.host_runs && !m.hung && (m.state == State::primary || m.state == State::standby);
}

}  // namespace

Actor& Stage::actor(const std::string& name) {
    const auto found = actors_.find(name);
    if (found == actors_.end()) throw std::runtime_error("there is no node " + name);
    return found->second;
}

WallTime Stage::wall_now() const {
    const WallTime noon = std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 12h;
    return noon + (now_ - Instant(1h));
}

bool Stage::reaches(const std::string& from, const std::string& to) const {
    return !cut.contains({from, to});
}

// ---- setting the stage

void Stage::add_node(const std::string& name, const std::string& what, Lsn position, Timeline timeline) {
    Actor& actor = actors_[name];
    Machine& m = actor.machine;
    m.name = name;
    m.has_data = what != "empty";
    m.system_identifier = m.has_data ? "7000000000000000001" : "";
    m.timeline = timeline;
    for (std::uint32_t id = 1; m.has_data && id < timeline.id; ++id)
        m.history.push_back({Timeline{id}, Lsn{id * 0x1000000}, "no recovery target specified", {}, {}});
    m.position = position;
    actor.runs_patroni = what.starts_with("patroni-");
    const std::string role = actor.runs_patroni ? what.substr(8) : what;
    const bool standby = role.ends_with("standby");
    m.standby_signal = standby;
    if (role == "primary" || role == "standby") {
        m.state = standby ? State::standby : State::primary;
        m.starts_as_primary = !standby;
    } else if (role == "crashed-primary" || role == "crashed-standby") {
        m.control = standby ? ControlState::in_archive_recovery : ControlState::in_production;
    } else if (role == "stopped-primary" || role == "stopped-standby") {
        m.control = standby ? ControlState::shut_down_in_recovery : ControlState::shut_down;
    } else if (role != "empty") {
        throw std::runtime_error("a node cannot be " + what);
    }
    actor.memory.name = name;
}

void Stage::settle(const std::string& leader) {
    const bool any_data = std::ranges::any_of(actors_, [](const auto& each) { return each.second.machine.has_data; });
    if (any_data) etcd_.initialize = "7000000000000000001";
    for (const auto& [name, each] : actors_)
        if (each.machine.timeline.id > 1) {
            etcd_.history = each.machine.history;
            etcd_.has_history = true;
            etcd_.history_mod_revision = next_revision();
        }
    for (auto& [name, each] : actors_) {
        each.seen_by_etcd = now_;
        if (each.machine.state == State::standby) each.machine.follows = leader;
    }
    if (!leader.empty()) {
        Actor& holder = actor(leader);
        open_key(leader, holder);
        etcd_.status.optime = holder.machine.position;
        if (holder.runs_patroni) {
            etcd_.status = {.optime = holder.machine.position,
                            .slots = {},
                            .retain_slots = {},
                            .holder = {},
                            .unfenced = {},
                            .mod_revision = next_revision()};
            holder.memory.lease.reset();
        }
    }
    for (auto& [name, each] : actors_) publish(name, each);
    for (auto& [name, each] : actors_) {
        look(name, each);
        if (each.machine.state != State::standby || leader.empty()) continue;
        each.memory.following = leader;
        each.memory.history_checked_epoch = etcd_.leader->create_revision;
    }
    check();
}

// ---- time

void Stage::advance(Duration time) {
    for (const Instant end = now_ + time; now_ < end;) {
        now_ = std::min<Instant>(now_ + step, end);
        for (auto& [name, each] : actors_) {
            if (etcd_answers && each.agent_runs && each.host_runs && reaches_etcd(name)) each.seen_by_etcd = now_;
            renew(name, each);
            each.checkpoint_pending = false;
        }
        expire_keys();
    }
    ship_wal();
    check();
}

void Stage::renew(const std::string& name, Actor& each) {
    if (!each.agent_runs || !each.host_runs || !each.memory.lease) return;
    ha::HeldLease& lease = *each.memory.lease;
    if (reaches_etcd(name) && now_ >= lease.renewed_at + lease.terms.renew_every) {
        if (etcd_.leader && (etcd_.leader->name != name || etcd_.leader->create_revision != lease.epoch)) {
            say("{}: lost the lease to {}", name, etcd_.leader->name);
            each.memory.lease.reset();
            return;
        }
        if (!etcd_.leader) {
            say("{}: puts the leader key back", name);
            lease.epoch = next_revision();
            etcd_.leader = LeaderKey{name, 1, lease.epoch, lease.epoch};
        }
        StatusKey& status = etcd_.status;
        ++status.heartbeat;
        status.holder = name;
        status.ttl_seconds = settings.ttl.count();
        status.released_epoch = 0;
        if (each.machine.state == State::primary || settings.standby_cluster) status.optime = each.machine.position;
        status.mod_revision = next_revision();
        lease.renewed_at = now_;
        lease.terms = ha::LeaseTerms::of(settings);
        for (auto& [other_name, other] : actors_)
            if (other.agent_runs && reaches_etcd(other_name)) other.memory.heartbeat.saw(status, now_);
    }
    if (now_ < lease.deadline() || each.memory.settings.pause) return;
    each.memory.lease.reset();
    if (each.machine.state == State::standby && !each.memory.operation) {
        say("{}: its lease has ended", name);
        return;
    }
    say("{}: its lease has ended, and every process of PostgreSQL is killed", name);
    each.machine.end_abruptly();
    each.memory.operation.reset();
    each.memory.stopped_to_demote = true;
    each.begun.reset();
}

/// Keys end with the etcd lease of the agent that put them.
void Stage::expire_keys() {
    if (!etcd_answers) return;
    const auto ended = [&](const std::string& name) {
        return exists(name) && now_ - actors_.at(name).seen_by_etcd >= settings.ttl + leases_extended;
    };
    if (etcd_.leader && ended(etcd_.leader->name)) {
        say("etcd: the leader key of {} has ended", etcd_.leader->name);
        etcd_.leader.reset();
        next_revision();
    }
    std::erase_if(etcd_.members, [&](const Member& member) { return ended(member.name); });
    if (etcd_.initialize && exists(*etcd_.initialize) && ended(*etcd_.initialize)) {
        say("etcd: the claim of {} has ended", *etcd_.initialize);
        etcd_.initialize.reset();
    }
}

const Machine* Stage::source_of(const std::string& name, const std::string& source) const {
    if (ha::is_remote_source(source)) return remote_ && reaches(name, remote_->name) ? &*remote_ : nullptr;
    const auto found = actors_.find(source);
    return found != actors_.end() && serves(found->second) && reaches(name, source) ? &found->second.machine : nullptr;
}

void Stage::ship_wal() {
    for (std::size_t hop = 0; hop < actors_.size(); ++hop)  // one more for each level of a cascade
        for (auto& [name, each] : actors_) {
            Machine& m = each.machine;
            if (!serves(each) || m.state != State::standby || each.replication_stuck) continue;
            const Machine* source = source_of(name, m.follows);
            if (!source || m.diverged_from(*source)) continue;
            m.timeline = source->timeline;
            m.history = source->history;
            m.position = source->position;
        }
}

void Stage::add_remote(const std::string& host) {
    for (const auto& [name, each] : actors_)
        if (!remote_ || each.machine.state == State::primary) remote_ = each.machine;
    remote_->name = host;
    remote_->state = State::primary;
    settings.standby_cluster = true;
    settings.remote = {.host = host, .port = "5432"};
}

void Stage::remote_promoted() {
    promote(*remote_);
}

void Stage::check() const {
    std::string writable;
    int count = 0;
    for (const auto& [name, each] : actors_)
        if (each.machine.writable()) {
            writable += " " + name;
            ++count;
        }
    if (count > 1) throw std::runtime_error("two nodes could acknowledge a write:" + writable);
}

// ---- what happens to nodes

void Stage::kill_postgres(const std::string& name) {
    actor(name).machine.end_abruptly();
}

void Stage::kill_agent(const std::string& name) {
    Actor& each = actor(name);
    each.agent_runs = false;
    each.memory = {};
    each.memory.name = name;
    each.begun.reset();
}

void Stage::kill_host(const std::string& name) {
    kill_agent(name);
    kill_postgres(name);
    actor(name).host_runs = false;
}

void Stage::start_agent(const std::string& name) {
    Actor& each = actor(name);
    each.agent_runs = true;
    each.host_runs = true;
}

void Stage::write(std::uint64_t bytes) {
    for (auto& [name, each] : actors_)
        if (each.machine.state == State::primary && !each.machine.hung) each.machine.position.bytes += bytes;
    if (remote_) remote_->position.bytes += bytes;
    ship_wal();
}

void Stage::lag(const std::string& name, std::uint64_t bytes) {
    Actor& each = actor(name);
    each.replication_stuck = true;
    Lsn newest = each.machine.position;
    for (const auto& [other_name, other] : actors_) newest = std::max(newest, other.machine.position);
    each.machine.position.bytes = newest.bytes - bytes;
}

void Stage::request(FailoverRequest wanted) {
    wanted.mod_revision = next_revision();
    etcd_.failover = std::move(wanted);
}

void Stage::delete_key(const std::string& key) {
    next_revision();
    if (key == "leader")
        etcd_.leader.reset();
    else if (key == "initialize")
        etcd_.initialize.reset();
    else if (key == "status")
        etcd_.status = {};
    else if (key == "failover")
        etcd_.failover =
            FailoverRequest{.leader = {}, .candidate = {}, .scheduled_at = {}, .mod_revision = etcd_.revision};
    else
        throw std::runtime_error("there is no key " + key);
}

void Stage::wipe_etcd() {
    const std::int64_t revision = etcd_.revision;
    etcd_ = {};
    etcd_.revision = revision;
}

void Stage::promote_by_hand(const std::string& name) {
    promote(actor(name).machine);
    check();
}

void Stage::restore_heartbeat(std::uint64_t heartbeat) {
    etcd_.status.heartbeat = heartbeat;
    etcd_.status.mod_revision = next_revision();
    for (auto& [name, each] : actors_)
        if (each.agent_runs && reaches_etcd(name)) each.memory.heartbeat.saw(etcd_.status, now_);
}

// ---- observing

ServerState Stage::observe(const Actor& each) const {
    const Machine& m = each.machine;
    ServerState s;
    s.data_directory = m.has_data ? DataDirectory::present : DataDirectory::empty;
    s.system_identifier = m.system_identifier;
    s.standby_signal = m.standby_signal;
    s.version_number = 150000;
    s.postmaster = each.orphans ? Postmaster::remains : m.running() ? Postmaster::running : Postmaster::absent;
    if (s.postmaster != Postmaster::running) {
        s.control = ControlData{};
        s.control->state = m.control;
        s.control->system_identifier = m.system_identifier;
        s.control->checkpoint_timeline = m.timeline;
        return s;
    }
    if (m.hung) {
        s.query_failed = true;
        s.in_recovery = each.memory.server.in_recovery;
        return s;
    }
    if (m.state == State::starting || m.state == State::stopping) return s;
    s.accepts_connections = true;
    s.in_recovery = m.state == State::standby;
    s.timeline = m.timeline;
    s.written = s.received = s.replayed = m.position;
    const Machine* source = s.in_recovery ? source_of(m.name, m.follows) : nullptr;
    if (source && !m.diverged_from(*source)) s.replication_state = "streaming";
    return s;
}

void Stage::write_sync(SyncKey sync) {
    sync.mod_revision = etcd_.sync_mod_revision = next_revision();
    etcd_.sync = std::move(sync);
}

void Stage::write_failsafe(std::map<std::string, std::string> api_urls) {
    etcd_.failsafe = std::move(api_urls);
    etcd_.failsafe_mod_revision = next_revision();
}

void Stage::accept_failsafe(const std::string& name) {
    actor(name).memory.heartbeat.accepted_failsafe(now_, settings.ttl);
}

PeerStatus Stage::ask(const std::string& from, const std::string& to) const {
    PeerStatus status;
    status.name = to;
    status.asked = status.seen = now_;
    const auto found = actors_.find(to);
    if (found == actors_.end() || !reaches(from, to) || !found->second.agent_runs || !serves(found->second))
        return status;
    const Actor& other = found->second;
    status.reachable = true;
    status.in_recovery = other.machine.state == State::standby;
    status.timeline = other.machine.timeline;
    status.position = other.machine.position;
    status.system_identifier = other.machine.system_identifier;
    status.tags = other.tags;
    return status;
}

void Stage::look(const std::string& name, Actor& each) {
    ha::Snapshot& s = each.memory;
    s.now = now_;
    s.wall_now = wall_now();
    s.tags = each.tags;
    s.abilities = each.abilities;
    if (reaches_etcd(name)) {
        s.view = etcd_;
        s.settings = settings;
        s.heartbeat.saw(etcd_.status, now_);
        if (etcd_.leader) {
            s.race_members.clear();
            for (const Member& member : etcd_.members) s.race_members.insert(member.name);
        }
    } else {
        s.view.reset();
    }
    s.server = observe(each);
    const bool starting = s.server.running() && !s.server.accepts_connections && !s.server.query_failed;
    if (!starting)
        s.server_starting_since = {};
    else if (s.server_starting_since == Instant{})
        s.server_starting_since = now_;
    if (!s.server.running())
        s.following.clear();
    else if (!s.operation)
        s.stopped_to_demote = false;
    if (!s.lease) s.start_failed = false;
}

void Stage::publish(const std::string& name, Actor& each) {
    if (!reaches_etcd(name) || !each.host_runs) return;
    Member member;
    member.name = name;
    member.host = name;
    member.port = "5432";
    member.conn_url = "postgres://" + name + ":5432/postgres";
    member.api_url = "http://" + name + ":8008/patroni";
    member.state = each.machine.state == State::starting ? "starting" : each.machine.running() ? "running" : "stopped";
    const bool leads = each.machine.state == State::primary ||
                       (each.machine.state == State::starting && each.machine.starts_as_primary);
    member.role = !each.machine.has_data                          ? Role::uninitialized
                  : leads                                         ? Role::primary
                  : settings.standby_cluster && each.memory.lease ? Role::standby_leader
                                                                  : Role::replica;
    member.version = "4.1.4";
    member.runs_pgkeel = !each.runs_patroni;
    member.timeline = each.machine.timeline;
    member.location = each.machine.position;
    member.checkpoint_after_promote_pending = each.checkpoint_pending;
    member.tags = each.tags;
    std::erase_if(etcd_.members, [&](const Member& known) { return known.name == name; });
    etcd_.members.insert(std::ranges::upper_bound(etcd_.members, name, {}, &Member::name), std::move(member));
    next_revision();
}

// ---- deciding

void Stage::tick(const std::set<std::string>& names) {
    for (auto& [name, each] : actors_) {
        if (!names.empty() && !names.contains(name)) continue;
        if (!each.agent_runs || !each.host_runs || each.runs_patroni) continue;
        look(name, each);
        for (int round = 0; round < rounds_max; ++round) {
            const ha::Decision decision = ha::decide(each.memory);
            print(name, decision);
            const bool again = carry_out(name, each, decision.action);
            check();
            if (!again) break;
            if (!each.memory.view || !reaches_etcd(name)) continue;
            const auto request = std::exchange(each.memory.view, etcd_)->failover;
            // The request goes from etcd with the take-over; the candidate still knows why it leads.
            if (etcd_.leader && etcd_.leader->name == name &&
                !std::holds_alternative<ha::ClearFailover>(decision.action))
                each.memory.view->failover = request;
        }
        if (each.agent_runs) publish(name, each);
    }
    ship_wal();
}

void Stage::print(const std::string& name, const ha::Decision& decision) {
    say("{}: {} ({}) {}", name, describe(decision.action), ha::to_string(decision.reason), decision.text);
    for (const std::string& note : decision.notes) say("    {}", note);
}

void Stage::show() {
    static const char* states[] = {"down", "starting", "standby", "primary", "stopping"};
    if (etcd_.leader)
        say("etcd: leader {}", etcd_.leader->name);
    else
        say("etcd: no leader{}", etcd_.status.released_epoch != 0 ? ", the last one released it" : "");
    for (const auto& [name, each] : actors_) {
        const Machine& m = each.machine;
        if (!m.has_data) {
            say("{}: no data", name);
            continue;
        }
        say("{}: {} on timeline {} at {}{}{}", name, states[static_cast<int>(m.state)], m.timeline.id,
            to_string(m.position), m.state == State::standby && !m.follows.empty() ? ", follows " + m.follows : "",
            each.memory.lease ? ", holds the lease" : "");
    }
}

void promote(Machine& machine) {
    machine.history.push_back({machine.timeline, machine.position, "no recovery target specified", {}, {}});
    machine.timeline.id += 1;
    machine.state = State::primary;
    machine.starts_as_primary = true;
    machine.standby_signal = false;
    machine.follows.clear();
}

std::string describe(const ha::Action& action) {
    std::string text = ha::name_of(action);
    if (const auto* probe = std::get_if<ha::ProbePeers>(&action))
        for (const std::string& name : probe->names) text += " " + name;
    if (const auto* clone = std::get_if<ha::Clone>(&action))
        text += clone->from.empty() ? " without a leader" : " from " + clone->from;
    if (const auto* start = std::get_if<ha::StartServer>(&action))
        text += start->as_primary       ? " as primary"
                : start->follow.empty() ? " as standby"
                                        : " as standby of " + start->follow;
    if (const auto* rejoin = std::get_if<ha::Rejoin>(&action))
        text += (rejoin->leader.empty() ? "" : " ") + rejoin->leader;
    if (const auto* demote = std::get_if<ha::Demote>(&action)) {
        text += std::string(" ") + ha::to_string(demote->how);
        if (!demote->candidate.empty()) text += " for " + demote->candidate;
    }
    if (const auto* follow = std::get_if<ha::Follow>(&action)) text += " " + follow->source;
    if (const auto* compare = std::get_if<ha::CompareHistory>(&action)) text += " with " + compare->leader;
    if (const auto* reinit = std::get_if<ha::Reinitialize>(&action)) text += " from " + reinit->from;
    return text;
}

}  // namespace pgkeel::scenarios
