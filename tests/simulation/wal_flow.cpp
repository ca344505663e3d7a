// WAL, and which commits are acknowledged: wal senders that release them by the rule each has read itself.
#include "simulation/cluster.hpp"

#include <algorithm>
#include <utility>

namespace pgkeel::simulation {

using namespace std::chrono_literals;
using State = Machine::State;

namespace {

/// The model's own idea of the invariant; the agent has another of its own.
bool have_a_node_in_common(std::set<std::string> names, int count, const std::set<std::string>& voters, int quorum) {
    if (voters.empty()) return true;
    names.insert(voters.begin(), voters.end());
    return count + quorum + 1 > static_cast<int>(names.size());
}

bool has_wal(const Machine& machine, Timeline timeline, Lsn lsn) {
    for (const HistoryEntry& past : machine.history)
        if (past.timeline == timeline) return past.lsn >= lsn;
    return machine.timeline == timeline && machine.position >= lsn;
}

}  // namespace

const std::optional<SyncKey>& Cluster::sync_key() const {
    if (std::exchange(sync_seen_at_, etcd_.revision()) == etcd_.revision()) return sync_seen_;
    const etcd::KeyValue* value = etcd_.find(keys().sync());
    if (!value)
        sync_seen_.reset();
    else if (!sync_seen_ || sync_seen_->mod_revision != value->mod_revision)
        sync_seen_ = cluster::parse_view(keys(), {*value}, value->mod_revision).sync;
    return sync_seen_;
}

void Cluster::acknowledge(Machine& primary, Lsn position) {
    position = std::min(position, primary.position);
    if (position <= primary.acknowledged) return;
    primary.acknowledged = position;
    // Before the key is written nothing is promised.
    const auto& sync = sync_key();
    if (!sync || sync->leader != primary.name) return;
    Lsn& known = acknowledged_[primary.timeline];
    known = std::max(known, position);
}

/// Commits that a wal sender may release by the rule that it works under.
void Cluster::release_by(Machine& primary, const std::string& standby) {
    const SyncRule& rule = primary.senders.at(standby).rule;
    if (!rule.names.contains(standby)) return;
    std::vector<Lsn> flushed;
    for (const auto& [name, sender] : primary.senders)
        if (rule.names.contains(name)) flushed.push_back(sender.flushed);
    if (static_cast<int>(flushed.size()) < rule.count) return;
    std::ranges::sort(flushed, std::greater{});
    acknowledge(primary, flushed[static_cast<std::size_t>(rule.count) - 1]);
}

bool Cluster::streams(const Machine& primary, const Machine& standby) const {
    return standby.state == State::standby && standby.follows == primary.name && !standby.hung &&
           linked(standby.name, primary.name) && linked(primary.name, standby.name) && !standby.diverged_from(primary);
}

/// One pass of each wal sender's loop: what its standby has answered, then its configuration, then more WAL.
void Cluster::flow_from(Machine& primary) {
    for (auto& host : hosts_) {
        Machine& standby = machine_of(*host);
        if (&standby == &primary) continue;
        auto sender = primary.senders.find(standby.name);
        if (!streams(primary, standby)) {
            const bool ended = standby.state == State::down || standby.follows != primary.name;
            if (sender != primary.senders.end() && (ended || world_.random.chance(0.01))) primary.senders.erase(sender);
            continue;
        }
        if (sender == primary.senders.end())
            sender =
                primary.senders.emplace(standby.name, Machine::Sender{++last_pid_, primary.rule, {}, {}, {}}).first;
        Machine::Sender& s = sender->second;
        if (world_.now() < s.stands_still_until || !world_.random.chance(0.85)) continue;
        s.flushed = s.sent;
        release_by(primary, standby.name);
        s.rule = primary.rule;
        standby.timeline = primary.timeline;
        standby.history = primary.history;
        standby.position = primary.position;
        s.sent = primary.position;
    }
    if (primary.rule.names.empty()) acknowledge(primary, primary.position);
}

/// Whoever may be elected has everything that a wal sender may release from now on.
void Cluster::check_overlap() {
    if (mode_ == "off") return;
    const auto& sync = sync_key();
    if (!sync || sync->leader.empty()) return;
    const std::set<std::string> voters(sync->members.begin(), sync->members.end());
    const auto check = [&](const Machine& machine, const SyncRule& rule, const std::string& who) {
        if (have_a_node_in_common(rule.names, rule.count, voters, sync->quorum)) return;
        violate(fmt::format("{} of {} acknowledges by '{}', and of {} with quorum {} one could be elected without", who,
                            machine.name, to_setting(rule), fmt::join(voters, ","), sync->quorum));
    };
    for (const auto& host : hosts_) {
        const Machine& machine = machine_of(*host);
        if (!machine.writable() || machine.name != sync->leader) continue;
        if (machine.rule.names.empty()) check(machine, machine.rule, "a session");
        for (const auto& [name, sender] : machine.senders)
            if (sender.rule.names.contains(name)) check(machine, sender.rule, "the wal sender to " + name);
    }
}

void Cluster::check_acknowledged(const Machine& promoted) {
    for (const auto& [timeline, position] : acknowledged_)
        if (!has_wal(promoted, timeline, position))
            violate(fmt::format("{} leads without the commits that were acknowledged up to {}/{}", promoted.name,
                                timeline.id, to_string(position)));
}

}  // namespace pgkeel::simulation
