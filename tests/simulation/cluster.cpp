#include "simulation/cluster.hpp"

#include "async/spawn.hpp"
#include "ha/wal_source.hpp"
#include "simulation/sim_fences.hpp"

#include <algorithm>
#include <utility>

namespace pgkeel::simulation {

using namespace std::chrono_literals;
using State = Machine::State;

namespace {

/// An operator's scripts: pre_promote takes its time now and then.
class SimScripts final : public agent::Scripts {
  public:
    SimScripts(World& world, Clock& clock) : world_(world), clock_(clock) {}
    void call(agent::Callback, Role) override {}
    Task<Result<>> pre_promote() override {
        if (world_.random.chance(0.2)) co_await clock_.sleep_for(world_.random.between(10ms, 12s));
        co_return Result<>{};
    }

  private:
    World& world_;
    Clock& clock_;
};

class SimPeers final : public cluster::Peers {
  public:
    SimPeers(Cluster& cluster, std::string self, Clock& clock)
        : cluster_(cluster), self_(std::move(self)), clock_(clock) {}
    Task<PeerStatus> probe(Member member, Deadline deadline) override {
        co_await clock_.sleep_for(cluster_.world().random.between(500us, 5ms));
        PeerStatus status = cluster_.peer_status(self_, member.name);
        if (!status.reachable && cluster_.world().random.chance(0.5))
            co_await clock_.sleep_until(deadline);  // dropped, not refused
        co_return status;
    }

    Task<cluster::FailsafeAnswer> ask_failsafe(std::string name, std::string, cluster::FailsafeCall call,
                                               Deadline deadline) override {
        co_await clock_.sleep_for(cluster_.world().random.between(500us, 5ms));
        const cluster::FailsafeAnswer answer = cluster_.ask_failsafe(self_, name, call);
        if (!answer.accepted && cluster_.world().random.chance(0.5)) co_await clock_.sleep_until(deadline);
        if (cluster_.world().random.chance(0.03)) co_return cluster::FailsafeAnswer{false, "the answer was lost"};
        co_return answer;
    }

  private:
    Cluster& cluster_;
    std::string self_;
    Clock& clock_;
};

constexpr int kinds_of_fault = 25;

/// More of the loop's handlers than any agent has to do at one instant.
constexpr int handlers_max = 100000;

}  // namespace

/// The volumes of a host.
struct SimStorage final : agent::Storage {
    Trouble now;
    Trouble trouble(Instant) const override { return now; }
};

struct Cluster::Host {
    Machine machine;
    SimStorage storage;
    std::unique_ptr<HostClock> clock;
    std::unique_ptr<Guardians> guardians;
    struct Agent {
        asio::io_context loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
        SimStore store;
        SimServer server;
        SimPeers peers;
        SimScripts scripts;
        SimFences fences;
        std::unique_ptr<agent::Node> node;
        bool ended = false;
        Agent(Cluster& c, Host& h)
            : store(c.world_, c.etcd_, *h.clock,
                    [&c, name = h.machine.name] { return c.linked(name, "etcd") && c.linked("etcd", name); }),
              server(c, h.machine, *h.clock),
              peers(c, h.machine.name, *h.clock),
              scripts(c.world_, *h.clock),
              fences(*h.guardians, *h.clock) {}
    };
    std::unique_ptr<Agent> agent;
    std::uint64_t lives = 0;
    /// The agent runs, and so does its guardian: that both fail at once is outside of what holds.
    bool may_lose_agent() const { return agent != nullptr && !guardians->missing_for(Duration::zero()); }
};

Cluster::Cluster(std::uint64_t seed, ClusterOptions options)
    : seed_(seed), options_(options), world_(seed), etcd_(world_) {
    const std::size_t nodes = 2 + world_.random.below(3);
    ttl_ = world_.random.chance(0.6) ? 5 : world_.random.chance(options_.long_life ? 0.5 : 0.97) ? 3 : 30;
    if (world_.random.chance(0.6)) mode_ = world_.random.chance(0.6) ? "quorum" : "on";
    strict_ = world_.random.chance(0.4);
    node_count_ = world_.random.chance(0.3) ? 2 : 1;
    failsafe_ = world_.random.chance(0.4);
    archive_ = world_.random.chance(0.4);
    faults_apart_ = world_.random.chance(0.5) ? 3s : options_.long_life ? 9s : 6s;
    if (follows_another_cluster()) mode_ = "off";  // who follows another cluster gives up what its own has acknowledged
    for (int kind = 0; kind < kinds_of_fault; ++kind)
        if (world_.random.chance(0.4)) kinds_.insert(kind);
    for (std::size_t i = 0; i < nodes; ++i) {
        auto host = std::make_unique<Host>();
        host->machine.name = std::string("n") + static_cast<char>('1' + i);
        host->clock =
            std::make_unique<HostClock>(world_, 0.99 + 0.02 * static_cast<double>(world_.random.below(1001)) / 1000.0);
        host->guardians = std::make_unique<Guardians>(world_, *host->clock, host->machine, [&h = *host] {
            if (h.agent) h.agent->server.exited();
        });
        hosts_.push_back(std::move(host));
    }
    world_.after_each = [this] { return poll_and_check(); };
}

Cluster::~Cluster() {
    for (auto& host : hosts_) kill_agent(*host);
}

Cluster::Host* Cluster::host(const std::string& name) const {
    for (const auto& host : hosts_)
        if (host->machine.name == name) return host.get();
    return nullptr;
}

const Machine* Cluster::machine(const std::string& name) const {
    const Host* found = host(name);
    return found ? &found->machine : nullptr;
}

Machine& Cluster::machine_of(Host& host) const {
    return host.machine;
}

void Cluster::change_synchronous_mode() {
    if (mode_ == "off" || !etcd_.find(keys().config())) return;
    if (world_.random.chance(0.5)) mode_ = mode_ == "on" ? "quorum" : "on";
    node_count_ = world_.random.chance(0.5) ? 1 : 2;
    noted("operator: synchronous_mode {} with {} standbys", mode_, node_count_);
    bool gone = false;
    etcd_.commit({{}, {etcd::Operation::put(keys().config(), config_text(""))}, {}}, &gone);
}

void Cluster::start_agent(Host& host) {
    if (host.agent) return;
    const std::string& name = host.machine.name;
    host.agent = std::make_unique<Host::Agent>(*this, host);
    Host::Agent& agent = *host.agent;
    agent::Identity identity;
    identity.name = name;
    identity.scope = "sim";
    identity.id = fmt::format("{}/{}", name, ++host.lives);
    identity.conn_url = fmt::format("postgres://{}:5432/postgres", name);
    identity.api_url = fmt::format("http://{}:8008/patroni", name);
    identity.version = "4.1.4";
    agent.node =
        std::make_unique<agent::Node>(agent::Outside{agent.loop.get_executor(), *host.clock, agent.store, agent.server,
                                                     agent.peers, agent.scripts, agent.fences, host.storage},
                                      keys(), identity, config_text(""));
    struct Run {
        static Task<> node(agent::Node& node, Host::Agent& agent, World& world, std::string who) {
            const auto result = co_await node.run();
            if (!result) world.note(who + " gave up: " + result.error().line());
            agent.ended = true;
        }
    };
    spawn(agent.loop.get_executor(), "node", Run::node(*agent.node, agent, world_, name));
    noted("{}: agent starts", name);
}

std::string Cluster::config_text(const std::string& standby_cluster) const {
    return fmt::format(
        R"({{"ttl":{},"loop_wait":{},"retry_timeout":{},"maximum_lag_on_failover":10485760,"synchronous_mode":"{}",)"
        R"("synchronous_mode_strict":{},"synchronous_node_count":{},"failsafe_mode":{}{}}})",
        ttl_, ttl_ == 30 ? 10 : 1, ttl_ == 30 ? 10 : 1, mode_, strict_, node_count_, failsafe_, standby_cluster);
}

void Cluster::kill_agent(Host& host) {
    if (!host.agent) return;
    // The loop's end destroys every coroutine, and they refer to the node.
    host.clock->go_on();
    if (Machine& m = host.machine; m.state == State::stopping)  // PostgreSQL goes on with it alone
        world_.surely_at(world_.now() + 200ms, [&m, life = m.life] {
            if (m.life != life || m.state != State::stopping) return;
            m.state = State::down;
            m.control = m.starts_as_primary ? ControlState::shut_down : ControlState::shut_down_in_recovery;
            ++m.life;
        });
    auto agent = std::move(host.agent);
    struct LoopFirst {
        static void destroy(Host::Agent& a) {
            a.loop.~io_context();
            new (&a.loop) asio::io_context(1);
        }
    };
    LoopFirst::destroy(*agent);
    host.guardians->agent_died();
}

void Cluster::kill_agent_for(Host& host, Duration length) {
    if (!host.may_lose_agent()) return;
    noted("fault: {}: the agent is killed, and comes back after {:.1f} s", host.machine.name, seconds(length));
    kill_agent(host);
    world_.surely_at(world_.now() + length, [this, &host] { start_agent(host); });
}

const Machine* Cluster::reachable_machine(const std::string& from, const std::string& to) const {
    const Host* other = host(to);
    return other && linked(from, to) && linked(to, from) ? &other->machine : nullptr;
}

cluster::FailsafeAnswer Cluster::ask_failsafe(const std::string& from, const std::string& to,
                                              const cluster::FailsafeCall& call) {
    const Host* other = host(to);
    if (!other || !other->agent || other->clock->stalled() || !linked(from, to) || !linked(to, from))
        return {false, "no answer"};
    const auto outcome = other->agent->node->accept_failsafe(call);
    return {outcome.status == 200, outcome.text};
}

PeerStatus Cluster::peer_status(const std::string& from, const std::string& to) const {
    PeerStatus status;
    status.name = to;
    const Host* other = host(to);
    if (!other || !other->agent || other->clock->stalled() || !linked(from, to) || !linked(to, from)) return status;
    const Machine& m = other->machine;
    if (m.hung || !(m.state == State::primary || m.state == State::standby)) return status;
    status.reachable = true;
    status.in_recovery = m.state == State::standby;
    status.timeline = m.timeline;
    status.position = m.position;
    status.system_identifier = m.system_identifier;
    status.history_diverged = other->agent->node->last().history_diverged;
    status.cannot_write = !other->agent->node->last().cannot_write.empty();
    return status;
}

void Cluster::violate(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
    noted("VIOLATION: {}", violation_);
}

void Cluster::became(Machine& machine, const std::string& what) {
    noted("{}: {} on timeline {} at {}", machine.name, what, machine.timeline.id, to_string(machine.position));
    if (what == "promoted") ++promotions_;
    if (machine.state != State::primary) return;
    const etcd::KeyValue* leader = etcd_.find(keys().leader());
    const etcd::KeyValue* initialize = etcd_.find(keys().initialize());
    const bool bootstraps = initialize && initialize->value.starts_with(machine.name + "/");
    if ((!leader || leader->value != machine.name) && !bootstraps) {
        // Allowed for a moment: the key may have ended (it is put back) while the node's own time still runs.
        const Host* owner = host(machine.name);
        const bool holds = owner->agent && owner->agent->node->holds_lease();
        if (!holds && !owner->guardians->armed_in_time())
            violate(fmt::format("{} {} without the leader key, which {}", machine.name, what,
                                leader ? "names " + leader->value : "is absent"));
    }
    if (what == "promoted") check_promotion(machine);
    check_acknowledged(machine);
    orderly_end_.reset();
}

void Cluster::ended_in_order(const Machine& primary) {
    orderly_end_ = OrderlyEnd{primary.name, primary.timeline, primary.position, world_.now()};
}

/// No fault is going on, and none was made or ended since.
bool Cluster::in_peace_since(Instant begin) const {
    const bool hung = std::ranges::any_of(
        hosts_, [](const auto& host) { return host->machine.hung || !host->agent || host->clock->stalled(); });
    return !hung && cut_.empty() && etcd_.answers && last_fault_ < begin;
}

void Cluster::check_promotion(const Machine& machine) {
    const HistoryEntry& fork = machine.history.back();
    if (orderly_end_ && orderly_end_->name != machine.name && orderly_end_->timeline == fork.timeline &&
        orderly_end_->position > fork.lsn && in_peace_since(orderly_end_->when - 5s))
        violate(fmt::format("a planned switchover lost WAL: {} ended in order at {}, {} began at {}",
                            orderly_end_->name, to_string(orderly_end_->position), machine.name, to_string(fork.lsn)));
    const Host* promoted = host(machine.name);
    if (promoted->agent && promoted->agent->node->last().history_diverged)
        violate(machine.name + " was promoted although it knew that its history had left the cluster's");
    requested_.clear();
}

void Cluster::asked_to_promote(Machine& machine) {
    Host* const owner = host(machine.name);
    if (!owner->agent || !owner->agent->node->holds_lease()) violate(machine.name + " is promoted without the lease");
    if (!faulty_ || !kinds_.contains(20) || !world_.random.chance(0.3)) return;
    const Duration length = world_.random.between(1s, std::chrono::seconds(ttl_) * 3);
    world_.surely_at(world_.now() + world_.random.between(0ms, 150ms), [this, owner, length] {
        if (!faulty_) return;
        last_fault_ = std::max(last_fault_, world_.now() + length);
        if (world_.random.chance(0.5))
            kill_agent_for(*owner, length);
        else
            stand_still(*owner, length);
    });
}

/// Nobody takes the lease before the last holder's has ended by every clock, unless it was released.
void Cluster::check_heartbeats() {
    const etcd::KeyValue* key = etcd_.find(keys().status());
    if (!key || key->mod_revision == last_heartbeat_.status.mod_revision) return;
    const StatusKey status = cluster::parse_status(*key);
    const StatusKey& last = last_heartbeat_.status;
    const Duration silence = world_.now() - last_heartbeat_.when;
    if (!last.holder.empty() && last.holder != status.holder && last.released_epoch == 0 &&
        silence < std::chrono::seconds(last.ttl_seconds))
        violate(fmt::format("{} took the lease {:.1f} s after a heartbeat of {}", status.holder, seconds(silence),
                            last.holder));
    last_heartbeat_ = {status, world_.now()};
}

/// The leader key has come to somebody: in peace a standby with less WAL than another does not take it.
void Cluster::check_election() {
    const etcd::KeyValue* leader = etcd_.find(keys().leader());
    if (!leader || leader->create_revision == led_since_) return;
    led_since_ = leader->create_revision;
    if (std::exchange(led_by_, leader->value) == leader->value) return;  // put back, or taken up again
    const Host* winner = host(leader->value);
    const bool asked_for = requested_ == leader->value;
    if (mode_ != "off") return;  // then check_acknowledged says who may win
    if (asked_for || !winner || winner->machine.state != State::standby || !in_peace_since(world_.now() - 5s)) return;
    const Machine& w = winner->machine;
    for (const auto& other : hosts_) {
        const Machine& m = other->machine;
        if (other->clock->stalled_since(world_.now() - 5s)) continue;  // it did not answer
        if (&m == &w || m.state != State::standby || other->agent->node->last().history_diverged) continue;
        if (std::pair(m.timeline, m.position) > std::pair(w.timeline, w.position))
            violate(fmt::format("{} leads with {}/{} although {} is at {}/{}", w.name, w.timeline.id,
                                to_string(w.position), m.name, m.timeline.id, to_string(m.position)));
    }
}

void Cluster::ship_wal_of(Machine& primary) {
    const bool is_remote = remote_ && &primary == &*remote_;
    for (auto& host : hosts_) {
        Machine& m = host->machine;
        const bool follows = is_remote ? ha::is_remote_source(m.follows) : m.follows == primary.name;
        if (m.state != State::standby || !follows || m.hung) continue;
        if (!linked(m.name, primary.name) || !linked(primary.name, m.name) || m.diverged_from(primary)) continue;
        m.timeline = primary.timeline;
        m.history = primary.history;
        m.position = primary.position;
    }
}

/// Clients write where they can, and WAL flows.
void Cluster::tick() {
    for (auto& host : hosts_)
        if (host->machine.state == State::primary && !host->machine.hung)
            host->machine.position.bytes += 64 + world_.random.below(2000);
    if (remote_) {
        remote_->position.bytes += 64;
        ship_wal_of(*remote_);
    }
    for (auto& host : hosts_)
        if (host->machine.state == State::standby)
            ship_wal_of(host->machine);
        else if (host->machine.state == State::primary && !host->machine.hung)
            flow_from(host->machine);
    world_.surely_at(world_.now() + 40ms, [this] { tick(); });
}

/// Lets every agent do what it can do now. False: one of them never comes to rest.
bool Cluster::poll_agents() {
    int handlers = 0;
    for (bool ran = true; ran;) {
        ran = false;
        for (auto& host : hosts_) {
            if (!host->agent || host->clock->stalled()) continue;
            host->agent->loop.restart();
            while (host->agent->loop.poll_one() != 0) {
                ran = true;
                if (++handlers < handlers_max) continue;
                violate(host->machine.name + " turns round and round while no time passes");
                return false;
            }
        }
    }
    return true;
}

bool Cluster::poll_and_check() {
    if (!poll_agents()) return false;
    if (std::exchange(checked_at_, etcd_.revision()) != etcd_.revision()) {
        check_heartbeats();
        check_election();
    }
    check_overlap();
    std::string writable;
    int count = 0;
    for (const auto& host : hosts_)
        if (host->machine.writable()) {
            ++count;
            writable += " " + host->machine.name;
        }
    if (count > 1) violate("two nodes could acknowledge a write:" + writable);
    return violation_.empty();
}

void Cluster::schedule_fault() {
    if (!faulty_) return;
    world_.surely_at(world_.now() + world_.random.between(100ms, faults_apart_), [this] {
        if (!faulty_) return;
        make_fault();
        schedule_fault();
    });
}

void Cluster::stand_still(Host& victim, Duration length) {
    const Machine& machine = victim.machine;
    if (!faulty_ || !victim.may_lose_agent()) return;
    noted("fault: {}: the agent stands still for {:.1f} s", machine.name, seconds(length));
    victim.clock->stall_until(world_.now() + length);
    world_.surely_at(world_.now() + length, [] {});  // it goes on then
}

void Cluster::request_switchover() {
    const etcd::KeyValue* leader = etcd_.find(keys().leader());
    if (!leader) return;
    const Host& target = *hosts_[world_.random.below(hosts_.size())];
    if (target.machine.name == leader->value) return;
    noted("operator: switchover from {} to {}", leader->value, target.machine.name);
    requested_ = target.machine.name;
    bool gone = false;
    const std::string request = fmt::format(R"({{"leader":"{}","member":"{}"}})", leader->value, target.machine.name);
    etcd_.commit({{}, {etcd::Operation::put(keys().failover(), request)}, {}}, &gone);
}

void Cluster::make_fault() {
    if (kinds_.empty()) return;
    auto kind = kinds_.begin();
    std::advance(kind, static_cast<long>(world_.random.below(kinds_.size())));
    Host& victim = *hosts_[world_.random.below(hosts_.size())];
    Machine& machine = victim.machine;
    const std::string name = machine.name;
    const Duration length = world_.random.between(100ms, std::max<Duration>(20s, std::chrono::seconds(ttl_) * 3 / 2));
    ++faults_made_;
    const bool is_request = *kind == 13 || *kind == 14 || *kind == 22;
    if (!is_request) last_fault_ = std::max(last_fault_, world_.now() + length);
    switch (*kind) {
        case 0:
            noted("fault: {}: PostgreSQL crashes", name);
            if (machine.running()) machine.end_abruptly();
            if (victim.agent) victim.agent->server.exited();
            break;
        case 1:
            noted("fault: {}: the host loses power for {:.1f} s", name, seconds(length));
            kill_agent(victim);
            if (machine.running()) machine.end_abruptly();
            victim.guardians->power_lost();
            world_.surely_at(world_.now() + length, [this, &victim] { start_agent(victim); });
            break;
        case 2:
            kill_agent_for(victim, world_.random.between(50ms, 400ms));
            // Often it comes back only to end again, before it has looked around or after.
            if (world_.random.chance(0.5))
                world_.surely_at(world_.now() + world_.random.between(50ms, 500ms), [this, &victim, length] {
                    if (!faulty_) return;
                    if (world_.random.chance(0.5))
                        kill_agent_for(victim, length);
                    else
                        stand_still(victim, length);
                });
            break;
        case 3:
            noted("fault: {} is cut off from etcd for {:.1f} s", name, seconds(length));
            cut_.insert({name, "etcd"});
            world_.surely_at(world_.now() + length, [this, name] { cut_.erase({name, "etcd"}); });
            break;
        case 4:
            noted("fault: etcd's answers to {} are lost for {:.1f} s", name, seconds(length));
            cut_.insert({"etcd", name});
            world_.surely_at(world_.now() + length, [this, name] { cut_.erase({"etcd", name}); });
            break;
        case 5: {
            const std::string other = hosts_[world_.random.below(hosts_.size())]->machine.name;
            noted("fault: {} and {} do not see each other for {:.1f} s", name, other, seconds(length));
            cut_.insert({name, other});
            world_.surely_at(world_.now() + length, [this, name, other] { cut_.erase({name, other}); });
            break;
        }
        case 6:
            noted("fault: etcd has no quorum for {:.1f} s", seconds(length));
            etcd_.answers = false;
            world_.surely_at(world_.now() + length, [this] {
                etcd_.answers = true;
                etcd_.extend_leases();
            });
            break;
        case 7:
            noted("fault: {} is cut off by a hung etcd leader that says yes to keepalives, {:.1f} s", name,
                  seconds(length));
            etcd_.keep_alive_lies = true;
            cut_.insert({"etcd", name});
            world_.surely_at(world_.now() + length, [this, name] {
                etcd_.keep_alive_lies = false;
                cut_.erase({"etcd", name});
                etcd_.revoke_some_lease();
                last_fault_ = world_.now();
            });
            break;
        case 8:
            noted("fault: etcd is slow and loses messages for {:.1f} s", seconds(length));
            etcd_.slow = world_.random.between(0ms, 700ms);
            etcd_.lost_before = 0.1;
            etcd_.lost_after = 0.2;
            last_fault_ += 8s;  // messages that were given up come that late
            world_.surely_at(world_.now() + length, [this] {
                etcd_.slow = 0ms;
                etcd_.lost_before = etcd_.lost_after = 0;
            });
            break;
        case 9:
            noted("fault: etcd revokes a lease early");
            etcd_.revoke_some_lease();
            break;
        case 10:
            noted("fault: etcd gives every lease its whole time again");
            etcd_.extend_leases();
            break;
        case 11:
            noted("fault: an operator deletes the leader key");
            etcd_.remove(keys().leader());
            break;
        case 12:
            noted("fault: {}: PostgreSQL does not answer for {:.1f} s", name, seconds(length));
            machine.hung = machine.running();
            world_.surely_at(world_.now() + length, [&machine] { machine.hung = false; });
            break;
        case 13:
        case 14:
            request_switchover();
            break;
        case 15:
            noted("fault: {:.1f} s in which starts may fail", seconds(length));
            start_failures = 0.3;
            world_.surely_at(world_.now() + length, [this] { start_failures = 0; });
            break;
        case 16: {
            if (!victim.agent) return;
            // Up to what a renewal waits for its answer.
            const Duration most = std::chrono::milliseconds(ttl_ * 200);
            const Duration late = world_.random.between(world_.random.chance(0.5) ? 0ms : most * 9 / 10, most);
            noted("fault: etcd's answers to {} come {:.1f} s late, and then it is cut off for {:.1f} s", name,
                  seconds(late), seconds(length));
            victim.agent->store.answers_late = late;
            world_.surely_at(world_.now() + late + world_.random.between(100ms, std::chrono::seconds(ttl_)),
                             [this, &victim, name, length] {
                                 if (victim.agent) victim.agent->store.answers_late = 0ms;
                                 if (!faulty_) return;
                                 if (world_.random.chance(0.3)) {
                                     kill_agent_for(victim, length);
                                     return;
                                 }
                                 cut_.insert({name, "etcd"});
                                 cut_.insert({"etcd", name});
                                 world_.surely_at(world_.now() + length, [this, name] {
                                     cut_.erase({name, "etcd"});
                                     cut_.erase({"etcd", name});
                                 });
                             });
            break;
        }
        case 17: {
            stand_still(victim, length);
            if (world_.random.chance(0.5)) break;
            // And once more while it doubts whether the leader lives, which comes back meanwhile.
            const etcd::KeyValue* key = etcd_.find(keys().leader());
            if (!key || key->value == name) break;
            const std::string leader = key->value;
            const Duration ttl = std::chrono::seconds(ttl_);
            noted("fault: {} is cut off from etcd for less than its lease, and then {} stands still", leader, name);
            cut_.insert({leader, "etcd"});
            cut_.insert({name, leader});
            const Instant back = world_.now() + world_.random.between(ttl * 4 / 10, ttl * 6 / 10);
            world_.surely_at(back, [this, leader] { cut_.erase({leader, "etcd"}); });
            world_.surely_at(world_.now() + ttl * 3, [this, name, leader] { cut_.erase({name, leader}); });
            world_.surely_at(back - world_.random.between(0ms, ttl / 10),
                             [this, &victim, ttl] { stand_still(victim, world_.random.between(ttl / 4, ttl * 2)); });
            break;
        }
        case 18: {
            if (!victim.may_lose_agent() || victim.clock->stalled()) return;
            const Duration gap = world_.random.between(10ms, world_.random.chance(0.7) ? 900ms : 5s);
            noted("fault: {}: the guardian is killed, and another runs after {:.2f} s", name, seconds(gap));
            victim.guardians->absent_until(world_.now() + gap);
            break;
        }
        case 19:
            kill_agent_for(victim, length);
            break;
        case 20:
            break;  // see asked_to_promote
        case 21: {
            const etcd::KeyValue* leader = etcd_.find(keys().leader());
            Host* primary = leader ? host(leader->value) : nullptr;
            if (!primary || primary->machine.senders.empty()) return;
            auto sender = primary->machine.senders.begin();
            std::advance(sender, static_cast<long>(world_.random.below(primary->machine.senders.size())));
            noted("fault: the wal sender from {} to {} stands still for {:.1f} s", leader->value, sender->first,
                  seconds(length));
            sender->second.stands_still_until = world_.now() + length;
            break;
        }
        case 22:
            change_synchronous_mode();
            break;
        case 24: {
            const etcd::KeyValue* leader = etcd_.find(keys().leader());
            Host* const host_of_leader = leader ? host(leader->value) : nullptr;
            Host& hurt = host_of_leader && world_.random.chance(0.6) ? *host_of_leader : victim;
            hurt.storage.now = {.why = "nothing can be written", .hangs = world_.random.chance(0.5)};
            noted("fault: the volumes of {} take nothing for {:.1f} s{}", hurt.machine.name, seconds(length),
                  hurt.storage.now.hangs ? ": writes hang" : "");
            world_.surely_at(world_.now() + length, [&hurt] { hurt.storage.now = {}; });
            break;
        }
        case 23: {
            const etcd::KeyValue* leader = etcd_.find(keys().leader());
            if (!leader || leader->value == name) return;
            noted("fault: {} is cut off from etcd and from {} for {:.1f} s", leader->value, name, seconds(length));
            for (const std::string& lost : {std::string("etcd"), name})
                for (const auto& way : {std::pair(leader->value, lost), std::pair(lost, leader->value)}) {
                    cut_.insert(way);
                    world_.surely_at(world_.now() + length, [this, way] { cut_.erase(way); });
                }
            break;
        }
        default:
            break;
    }
}

void Cluster::heal() {
    noted("everything is healed");
    faulty_ = false;
    last_fault_ = world_.now();
    cut_.clear();
    etcd_.answers = true;
    etcd_.keep_alive_lies = false;
    etcd_.slow = 0ms;
    etcd_.lost_before = etcd_.lost_after = 0;
    start_failures = 0;
    for (auto& host : hosts_) {
        host->machine.hung = false;
        host->storage.now = {};
        for (auto& [name, sender] : host->machine.senders) sender.stands_still_until = {};
        host->clock->go_on();
        if (host->agent) host->agent->store.answers_late = 0ms;
        if (host->agent && host->agent->ended) kill_agent(*host);
        start_agent(*host);
    }
}

const Machine& Cluster::on_the_newest_timeline() const {
    return (*std::ranges::max_element(hosts_, {}, [](const auto& host) { return host->machine.timeline; }))->machine;
}

Timeline Cluster::next_timeline(const Machine& machine) const {
    return {(archive_ ? on_the_newest_timeline() : machine).timeline.id + 1};
}

bool Cluster::archive_forbids_start_of(const Machine& machine) const {
    if (!archive_ || machine.starts_as_primary) return false;
    const Machine& newest = on_the_newest_timeline();
    return newest.timeline > machine.timeline && machine.diverged_from(newest);
}

std::string Cluster::check_liveness() const {
    const Machine* primary = nullptr;
    for (const auto& host : hosts_)
        if (host->machine.state == State::primary) primary = &host->machine;
    if (!primary) return "no primary at the end";
    const etcd::KeyValue* leader = etcd_.find(keys().leader());
    if (!leader || leader->value != primary->name)
        return fmt::format("{} is the primary at the end and the leader key {}", primary->name,
                           leader ? "names " + leader->value : "is absent");
    for (const auto& host : hosts_) {
        const Machine& m = host->machine;
        if (&m == primary) continue;
        if (m.state != State::standby) return m.name + " does not run as a standby at the end";
        if (m.diverged_from(*primary)) return m.name + " has a diverged history at the end";
        if (lag_bytes(primary->position, m.position) > 100000) return m.name + " does not receive WAL at the end";
    }
    if (mode_ == "off") return {};
    const auto& sync = sync_key();
    if (!sync || sync->leader != primary->name) return "the key sync does not name the primary at the end";
    if (sync->members.empty()) return "nobody is a synchronous standby at the end";
    if (lag_bytes(primary->position, primary->acknowledged) > 100000) return "commits are not acknowledged at the end";
    return {};
}

void Cluster::run_until_alive(Duration time) {
    const Instant end = world_.now() + time;
    constexpr Duration step = 500ms;
    for (int good = 0; good < 2 && violation_.empty() && world_.now() < end;) {
        world_.run_until(std::min(end, world_.now() + step));
        good = check_liveness().empty() && !options_.long_life ? good + 1 : 0;
    }
}

std::string Cluster::run() {
    noted("{} nodes, ttl {} s, synchronous_mode {}{} {}, failsafe_mode {}", hosts_.size(), ttl_, mode_,
          strict_ ? " strict" : "", node_count_, failsafe_);
    const Duration apart = world_.random.chance(0.3) ? 5ms : 2s;  // together: they race for the key initialize
    for (auto& host : hosts_)
        world_.surely_at(world_.now() + world_.random.between(0ms, apart), [this, &h = *host] { start_agent(h); });
    tick();
    run_until_alive(10s);
    if (violation_.empty()) {
        const std::chrono::seconds ttl(ttl_);
        const Duration time = options_.long_life ? std::max<Duration>(60s, 6 * ttl) : std::max<Duration>(10s, 2 * ttl);
        faulty_ = true;
        plan_demotion_and_promotion(time);
        schedule_fault();
        world_.run_until(world_.now() + time);
    }
    if (violation_.empty()) {
        stand_alone_again();
        heal();
        run_until_alive(60s + std::chrono::seconds(3 * ttl_));
    }
    if (violation_.empty())
        if (const std::string liveness = check_liveness(); !liveness.empty()) violate(liveness);
    return violation_;
}

std::string Cluster::describe() const {
    std::string text;
    for (const auto& host : hosts_) {
        const Machine& m = host->machine;
        static const char* names[] = {"down", "starting", "standby", "primary", "stopping"};
        text += fmt::format("{}: {} timeline {} at {} follows '{}'; ", m.name, names[static_cast<int>(m.state)],
                            m.timeline.id, to_string(m.position), m.follows);
        if (host->agent)
            text += host->agent->ended ? "agent ended" : fmt::format("agent: {}", host->agent->node->state());
        text += "\n";
    }
    for (const etcd::KeyValue& key : etcd_.range(keys().prefix).values)
        text += fmt::format("{} = {}\n", key.key, key.value);
    return text;
}

}  // namespace pgkeel::simulation
