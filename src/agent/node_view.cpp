// What this node sees of the cluster's keys: it reads them all, and a watch tells what changes in between.
#include "agent/node.hpp"
#include "cluster/transactions.hpp"
#include "ha/election.hpp"
#include "log/log.hpp"

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {
/// However well the watch goes, the keys are read so often.
constexpr Duration reads_apart_max = 10s;
/// What follows an operation does not wait for an etcd that was silent a moment ago.
constexpr Duration a_moment = 1s;
}  // namespace

/// A tick without news needs no read: the watch has told of everything since the last one, and of the leader's sign of
/// life just now. Whatever wakes the loop, and whatever concerns synchronous replication, reads for itself.
bool Node::watch_will_do() const {
    if (!only_a_tick_ || !watch_is_whole_ || !seen_.view || !seen_.view->leader || seen_.operation) return false;
    if (keeper_.held() && seen_.settings.synchronous_mode != SynchronousMode::off) return false;
    const Instant now = out_.clock.now();
    return now - watch_heard_at_ < Duration(seen_.settings.loop_wait) * 3 / 2 && now - keys_read_at_ < reads_apart_max;
}

Task<> Node::read_view() {
    read_again_ = Instant::max();
    if (after_operation_ && !seen_.view && out_.clock.now() - keys_missed_at_ < a_moment) {
        read_again_ = keys_missed_at_ + a_moment;
        co_return;
    }
    if (watch_will_do()) {
        seen_.looked_at = keys_read_at_;
        use_keys(watched_.values(), watched_.revision());
        co_return;
    }
    const Instant sent = out_.clock.now();
    const Duration patience = std::clamp<Duration>(seen_.settings.ttl / 5, 1s, 3s);
    const std::uint64_t stream = watch_stream_;
    watched_.begin_read();
    auto range = co_await out_.store.range(keys_.prefix, sent + patience);
    if (!range) {
        if (seen_.view) log::warning("etcd did not answer: {}", range.error().line());
        seen_.view.reset();
        keys_missed_at_ = out_.clock.now();
        watch_is_whole_ = false;
        co_return;
    }
    watch_from_ = range->revision + 1;
    keys_read_at_ = sent;
    watch_is_whole_ = stream != 0 && stream == watch_stream_;
    use_keys(range->values, range->revision);
    watched_.end_read(std::move(*range));
}

void Node::use_keys(const std::vector<etcd::KeyValue>& values, etcd::Revision revision) {
    std::vector<std::string> problems;
    seen_.view = cluster::parse_view(keys_, values, revision, &problems, seen_.view ? &*seen_.view : nullptr);
    for (const std::string& problem : problems) log::warning("ignoring what etcd holds: {}", problem);
    seen_.heartbeat.saw(seen_.view->status, out_.clock.now());
    // What the others said under another leader, or before this one stepped down, is void: they have gone on since, and
    // who was restarting then may be the chosen candidate now.
    const std::pair reign(seen_.view->leader ? seen_.view->leader->create_revision : 0, seen_.view->sync_mod_revision);
    if (std::exchange(reign_, reign) != reign) seen_.peers.clear();
    known_members_ = seen_.view->members;
    known_sync_ = seen_.view->sync;
    const std::string& leader = seen_.view->leader ? seen_.view->leader->name : seen_.view->status.holder;
    if (known_leader_ != leader)
        seen_.key_is_old = !known_leader_.empty() && seen_.view->leader && leader == identity_.name &&
                           !keeper_.held() && !keeper_.take_in_doubt();
    if (seen_.view->leader && leader != identity_.name) keeper_.another_leads();
    known_leader_ = leader;
    store_last_seen_ = out_.clock.wall_now();
    const bool led =
        seen_.view->leader &&
        !ha::may_take_lease(*seen_.view, seen_.heartbeat, identity_.name, seen_.settings, out_.clock.now()).allowed;
    if (led || keeper_.held())
        seen_.leaderless_since = {};
    else if (seen_.leaderless_since == Instant{})
        seen_.leaderless_since = out_.clock.now();
    for (const Member& member : seen_.view->members)
        if (!member.host.empty()) hosts_[member.name] = member.host;
    if (seen_.view->leader) {
        seen_.race_members.clear();
        for (const Member& member : seen_.view->members) seen_.race_members.insert(member.name);
    }
    view_changed_.set();
}

Task<> Node::watch_forever() {
    while (!finished_ && !fatal_) {
        while (watch_from_ == 0 && !finished_) co_await out_.clock.sleep_for(100ms);
        const std::uint64_t stream = ++watch_streams_;
        const Error ended = co_await out_.store.watch(keys_.prefix, watch_from_,
                                                      [this, stream](etcd::Revision revision, const auto& events) {
                                                          watch_from_ = std::max(watch_from_, revision + 1);
                                                          watch_stream_ = stream;
                                                          watch_heard_at_ = out_.clock.now();
                                                          watched_.apply(revision, events);
                                                          for (const etcd::WatchEvent& event : events) heard_of(event);
                                                      });
        watch_stream_ = 0;
        watch_is_whole_ = false;
        if (finished_ || fatal_) co_return;
        log::debug("the etcd watch ended: {}", ended.line());
        wake_.set();
        co_await out_.clock.sleep_for(1s);
    }
}

/// News wake the loop, which reads for itself. Signs of life are taken from here, because they can but delay an
/// election.
void Node::heard_of(const etcd::WatchEvent& event) {
    const std::string& key = event.value.key;
    if (key == keys_.status()) {
        const StatusKey status = cluster::parse_status(event.value);
        seen_.heartbeat.saw(status, out_.clock.now());
        // A slot that came or went has something to be done on every node.
        const bool same_slots =
            seen_.view && std::ranges::equal(
                              status.slots, seen_.view->status.slots, {}, [](const auto& slot) { return slot.first; },
                              [](const auto& slot) { return slot.first; });
        if (status.released_epoch == 0 && same_slots) return;
    } else if (key.starts_with(keys_.members())) {
        const std::string name = key.substr(keys_.members().size());
        const bool leads = seen_.view && seen_.view->leader && seen_.view->leader->name == name;
        const bool is_new = event.value.create_revision == event.value.mod_revision;
        if (name == identity_.name || (!leads && !is_new) || (keeper_.held() && !is_new)) return;
        if (leads && seen_.settings.loop_wait <= 2s && seen_.view->leader_member() && !seen_.operation) {
            // The leader's key changes with its position all the time; what matters here is its role.
            const Member now = cluster::parse_member(name, event.value);
            const Member& before = *seen_.view->leader_member();
            if (now.role == before.role && now.state == before.state &&
                now.checkpoint_after_promote_pending == before.checkpoint_after_promote_pending)
                return;
        }
    }
    wake_.set();
}

}  // namespace pgkeel::agent
