#include "simulation/sim_server.hpp"

#include "simulation/cluster.hpp"

namespace pgkeel::simulation {

using namespace std::chrono_literals;
using State = Machine::State;

Task<> SimServer::pass(Duration low, Duration high) {
    co_await clock_.sleep_for(cluster_.world().random.between(low, high));
}

Task<ServerState> SimServer::observe(Deadline deadline) {
    co_await pass(500us, 3ms);
    const Machine& m = machine_;
    ServerState s;
    s.data_directory = !m.has_data      ? DataDirectory::empty
                       : m.half_rewound ? DataDirectory::damaged
                                        : DataDirectory::present;
    s.system_identifier = m.system_identifier;
    s.standby_signal = m.standby_signal;
    s.postmaster = m.running() ? Postmaster::running : Postmaster::absent;
    s.version_number = 150000;
    if (!m.running()) {
        s.control = ControlData{};
        s.control->state = m.control;
        s.control->system_identifier = m.system_identifier;
        s.control->checkpoint_timeline = m.timeline;
        co_return s;
    }
    if (m.hung) {
        co_await clock_.sleep_until(deadline);
        s.query_failed = true;
        co_return s;
    }
    if (m.state == State::starting || m.state == State::stopping) co_return s;
    s.accepts_connections = true;
    s.postmaster_start_time = fmt::format("life {}", m.started);
    s.synchronous_standby_names = to_setting(m.rule);
    s.synchronous_commit = "on";
    for (const auto& [name, sender] : m.senders) {
        ReplicationClient client;
        client.pid = sender.pid;
        client.application_name = name;
        client.state = "streaming";
        client.sent = sender.sent;
        client.written = client.flushed = client.replayed = sender.flushed;
        s.replication.push_back(client);
    }
    for (const std::string& name : m.slots) {
        Slot slot;
        slot.name = name;
        slot.restart_lsn = m.position;
        s.slots.push_back(std::move(slot));
    }
    s.in_recovery = m.state == State::standby;
    s.timeline = m.timeline;
    s.written = s.received = s.replayed = m.position;
    if (s.in_recovery) {
        const Machine* source = cluster_.source_machine(m.name, m.follows);
        s.replication_state = source && !m.diverged_from(*source) ? "streaming" : "in archive recovery";
    }
    co_return s;
}

Task<Result<>> SimServer::create_cluster() {
    co_await pass(300ms, 900ms);
    machine_.has_data = true;
    machine_.slots.clear();
    machine_.system_identifier = fmt::format("70000000000{:08d}", cluster_.world().random.below(100000000));
    machine_.timeline = Timeline{1};
    machine_.history.clear();
    machine_.position = Lsn{0x1000000};
    machine_.control = ControlState::shut_down;
    machine_.standby_signal = false;
    co_return Result<>{};
}

Task<Result<>> SimServer::finish_bootstrap() {
    co_await pass(50ms, 200ms);
    co_return Result<>{};
}

Task<Result<>> SimServer::clone(std::optional<Member> source) {
    if (!source) co_return fail(Errc::unavailable, "no source");
    co_await pass(200ms, 1500ms);
    const Machine* from = cluster_.source_machine(machine_.name, source->name);
    if (!from || !(from->state == State::primary || from->state == State::standby))
        co_return fail(Errc::unavailable, "the source does not answer");
    machine_.has_data = true;
    machine_.slots.clear();
    machine_.system_identifier = from->system_identifier;
    machine_.timeline = from->timeline;
    machine_.history = from->history;
    machine_.position = from->position;
    machine_.standby_signal = true;
    machine_.control = ControlState::in_archive_recovery;
    co_return Result<>{};
}

Task<Result<>> SimServer::remove_data(std::string) {
    co_await pass(10ms, 50ms);
    if (cluster_.world().random.chance(cluster_.start_failures)) co_return fail(Errc::io_error, "cannot remove a file");
    if (machine_.half_rewound && !machine_.may_be_replaced)
        cluster_.violate(machine_.name + " is emptied, and nobody has seen another copy");
    machine_.has_data = machine_.half_rewound = false;
    machine_.slots.clear();
    machine_.system_identifier.clear();
    co_return Result<>{};
}

Task<Result<>> SimServer::create_slot(std::string name) {
    co_await pass(500us, 3ms);
    if (machine_.state != State::primary && machine_.state != State::standby)
        co_return fail(Errc::unavailable, "the server does not answer");
    machine_.slots.insert(std::move(name));
    co_return Result<>{};
}

Task<Result<>> SimServer::drop_slot(std::string name) {
    co_await pass(500us, 3ms);
    machine_.slots.erase(name);
    co_return Result<>{};
}

Task<Result<>> SimServer::start(postgres::StartOptions options) {
    if (machine_.running()) co_return Result<>{};
    if (options.allowed && !options.allowed())
        co_return fail(Errc::cancelled, "the server may not be started any more");
    if (machine_.half_rewound) cluster_.violate(machine_.name + " is started although a rewind was interrupted there");
    machine_.starts_as_primary = options.as_primary;
    machine_.standby_signal = !options.as_primary;
    machine_.follows = options.source ? options.source->name : std::string{};
    machine_.state = State::starting;
    if (!options.as_primary) machine_.rule = {};
    machine_.senders.clear();
    machine_.acknowledged = {};
    const std::uint64_t life = ++machine_.life;
    machine_.started = life;
    cluster_.world().surely_at(cluster_.world().now() + cluster_.world().random.between(50ms, 800ms),
                               [&m = machine_, &c = cluster_, life] {
                                   if (m.life != life) return;
                                   if (c.world().random.chance(c.start_failures) || c.archive_forbids_start_of(m)) {
                                       m.end_abruptly();
                                       return;
                                   }
                                   m.state = m.starts_as_primary ? State::primary : State::standby;
                                   c.became(m, m.starts_as_primary ? "started as primary" : "started as a standby");
                               });
    const Instant end = clock_.now() + options.timeout;
    while (machine_.life == life && machine_.state == State::starting && clock_.now() < end)
        co_await clock_.sleep_for(10ms);
    if (machine_.life != life) co_return fail(Errc::process_failed, "the server ended while it started");
    if (machine_.state == State::starting) co_return fail(Errc::timed_out, "still starting");
    co_return Result<>{};
}

Task<Result<Lsn>> SimServer::stop(postgres::StopOptions options) {
    if (!machine_.running()) co_return Lsn{};
    if (options.mode == postgres::StopMode::immediate) {
        co_await pass(5ms, 30ms);
        if (machine_.hung) co_await clock_.sleep_for(options.timeout);
        machine_.end_abruptly();
        co_return Lsn{};
    }
    if (options.checkpoint_first) co_await pass(10ms, 200ms);
    const bool was_primary = machine_.state == State::primary;
    machine_.starts_as_primary = was_primary;
    if (machine_.state != State::down) machine_.state = State::stopping;
    const std::uint64_t life = machine_.life;
    const Instant end = clock_.now() + options.timeout;
    co_await pass(20ms, 400ms);
    while (machine_.hung && clock_.now() < end) co_await clock_.sleep_for(10ms);
    if (machine_.life != life || !machine_.running())
        co_return fail(Errc::process_failed, "the server ended otherwise");
    if (machine_.hung) {
        machine_.end_abruptly();
        co_return Lsn{};
    }
    const Lsn shutdown = machine_.position;
    if (was_primary) machine_.position.bytes += 120;
    machine_.state = State::down;
    const std::uint64_t end_of_life = ++machine_.life;
    machine_.control = was_primary ? ControlState::shut_down : ControlState::shut_down_in_recovery;
    if (was_primary) cluster_.ended_in_order(machine_);
    if (options.on_shut_down) options.on_shut_down(shutdown);
    // pg_control says "shut down" before the wal senders have sent the last of it; they end when their standbys have
    // it.
    co_await pass(0ms, 300ms);
    if (was_primary && machine_.life == end_of_life) cluster_.ship_wal_of(machine_);
    co_await pass(0ms, 50ms);
    co_return shutdown;
}

Task<> SimServer::kill_everything() {
    co_await pass(2ms, 20ms);
    if (machine_.running()) machine_.end_abruptly();
}

Task<Result<>> SimServer::promote(Duration timeout) {
    if (machine_.state != State::standby) co_return fail(Errc::process_failed, "not a running standby");
    cluster_.asked_to_promote(machine_);
    const std::uint64_t life = machine_.life;
    cluster_.world().surely_at(
        cluster_.world().now() + cluster_.world().random.between(20ms, 120ms), [&m = machine_, &c = cluster_, life] {
            if (m.life != life || m.state != State::standby) return;
            m.senders.clear();
            m.acknowledged = {};
            m.history.push_back({m.timeline, m.position, "no recovery target specified", {}, {}});
            m.timeline = c.next_timeline(m);
            m.state = State::primary;
            m.starts_as_primary = true;
            m.standby_signal = false;
            m.follows.clear();
            c.became(m, "promoted");
        });
    const Instant end = clock_.now() + timeout;
    while (machine_.life == life && machine_.state == State::standby && clock_.now() < end)
        co_await clock_.sleep_for(5ms);
    if (machine_.state != State::primary) co_return fail(Errc::timed_out, "not promoted");
    co_return Result<>{};
}

Task<Result<>> SimServer::checkpoint() {
    co_await pass(20ms, 300ms);
    co_return Result<>{};
}

Task<Result<>> SimServer::follow(std::optional<postgres::Source> source) {
    co_await pass(2ms, 20ms);
    machine_.follows = source ? source->name : std::string{};
    co_return Result<>{};
}

Task<Result<postgres::Server::Divergence>> SimServer::compare_history(Member leader, ServerState) {
    co_await pass(2ms, 30ms);
    const Machine* other = cluster_.source_machine(machine_.name, leader.name);
    if (!other || other->state != State::primary || other->hung)
        co_return fail(Errc::unavailable, "the leader does not answer");
    Divergence result;
    result.needs_rewind = machine_.diverged_from(*other, &result.why);
    co_return result;
}

Task<Result<std::string>> SimServer::system_identifier_of(Member source) {
    co_await pass(2ms, 30ms);
    const Machine* other = cluster_.source_machine(machine_.name, source.name);
    if (!other || !(other->state == State::primary || other->state == State::standby) || other->hung)
        co_return fail(Errc::unavailable, "the source does not answer");
    machine_.may_be_replaced = true;
    co_return other->system_identifier;
}

Task<Result<>> SimServer::rewind(Member leader) {
    co_await pass(50ms, 300ms);
    const Machine* other = cluster_.source_machine(machine_.name, leader.name);
    if (!other || other->state != State::primary || other->hung)
        co_return fail(Errc::unavailable, "the leader does not answer");
    if (cluster_.world().random.chance(2 * cluster_.start_failures))
        co_return fail(Errc::process_failed, "pg_rewind found WAL missing");
    // From here on it changes files: what ends now, or an agent that ends, leaves neither of the two histories.
    machine_.half_rewound = true;
    machine_.may_be_replaced = false;
    co_await pass(50ms, 300ms);
    other = cluster_.source_machine(machine_.name, leader.name);
    if (!other || other->state != State::primary || other->hung)
        co_return fail(Errc::process_failed, "the connection to the leader broke");
    machine_.half_rewound = false;
    cluster_.noted("{} is rewound to {}", machine_.name, other->name);
    machine_.timeline = other->timeline;
    machine_.history = other->history;
    machine_.position = other->position;
    machine_.control = ControlState::in_archive_recovery;
    machine_.standby_signal = true;
    co_return Result<>{};
}

Task<Result<>> SimServer::set_synchronous_standbys(std::optional<SyncRule> rule) {
    if (machine_.hung) {
        co_await pass(1s, 3s);
        co_return fail(Errc::timed_out, "the server does not answer");
    }
    machine_.rule = rule.value_or(SyncRule{});
    co_await pass(2ms, 60ms);
    co_return Result<>{};
}

Task<Result<Lsn>> SimServer::write_mark() {
    co_await pass(1ms, 5ms);
    if (machine_.state != State::primary || machine_.hung) co_return fail(Errc::unavailable, "no primary answers");
    machine_.position.bytes += 64;
    co_return machine_.position;
}

Task<Result<>> SimServer::commit_barrier(Duration timeout) {
    if (machine_.state != State::primary || machine_.hung) co_return fail(Errc::unavailable, "no primary answers");
    machine_.position.bytes += 64;
    const Lsn end = machine_.position;
    const std::uint64_t life = machine_.life;
    const Instant give_up = clock_.now() + timeout;
    while (clock_.now() < give_up) {
        if (machine_.life != life) co_return fail(Errc::maybe_done, "the server ended");
        if (machine_.acknowledged >= end) co_return Result<>{};
        co_await clock_.sleep_for(20ms);
    }
    co_return fail(Errc::timed_out, "no standby answered");
}

Task<Result<>> SimServer::end_wal_sender(int pid) {
    co_await pass(1ms, 5ms);
    std::erase_if(machine_.senders, [&](const auto& sender) { return sender.second.pid == pid; });
    co_return Result<>{};
}

Task<Result<>> SimServer::recover_single_user() {
    co_await pass(50ms, 300ms);
    machine_.control = ControlState::shut_down;
    co_return Result<>{};
}

}  // namespace pgkeel::simulation
