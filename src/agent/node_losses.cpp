// What a failover has cost: the new leader tells how much of the old one's WAL it is known not to have, and the old
// one, when it comes back, exactly how much it was. It keeps a copy before its history is put right.
#include "agent/node.hpp"
#include "log/log.hpp"
#include "postgres/lost_wal.hpp"

namespace pgkeel::agent {

using namespace std::chrono_literals;

/// Who leads writes its position with each renewal and each tick of its own, and a standby hears of it all the time.
/// The highest of them is what it has written at least.
void Node::heed_leader() {
    if (!seen_.view || seen_.settings.standby_cluster) return;
    const ClusterView& view = *seen_.view;
    EarlierLeader& earlier = earlier_leader_;
    if (view.leader && view.leader->name != identity_.name) {
        if (earlier.epoch != view.leader->create_revision)
            earlier = {
                .name = view.leader->name, .epoch = view.leader->create_revision, .position = {}, .released = false};
        const Member* member = view.leader_member();
        if (member != nullptr && member->role == Role::primary)
            earlier.position = std::max(earlier.position, member->location);
        if (view.status.holder == earlier.name || view.status.holder.empty())
            earlier.position = std::max(earlier.position, view.status.optime);
        if (seen_.server.accepts_connections && seen_.server.in_recovery && seen_.server.wal_receiver_active)
            earlier.position = std::max(earlier.position, seen_.server.latest_end);
        return;
    }
    if (keeper_.held() || earlier.epoch == 0 || view.status.released_epoch != earlier.epoch) return;
    earlier.released = true;
    earlier.position = std::max(earlier.position, view.status.optime);
}

/// This server has just left the earlier leader's timeline at `parting`.
std::optional<cluster::LostWalReport> Node::account_for(const HistoryEntry& parting) const {
    const EarlierLeader& earlier = earlier_leader_;
    if (earlier.name.empty() || seen_.settings.standby_cluster) return {};
    const cluster::LostWalReport report{.timeline = parting.timeline,
                                        .begin = parting.lsn,
                                        .member = earlier.name,
                                        .end = std::max(earlier.position, parting.lsn),
                                        .at = parting.at};
    if (report.bytes() == 0 && earlier.released) return {};  // as after every switchover
    if (report.bytes() == 0)
        log::info("{}: {} is the last position that was heard of, and this server has all up to {}",
                  cluster::describe(report), to_string(earlier.position), to_string(parting.lsn));
    else
        log::warning("{} are not here; how much it was exactly is known when {} comes back", cluster::describe(report),
                     earlier.name);
    return report;
}

/// Called before what only this node has is thrown away. False: it has to be kept first, and could not be.
Task<bool> Node::keep_lost_wal() {
    if (lost_wal_.bytes() == 0) co_return true;
    const std::string before = std::exchange(operation_state_, "keeping lost WAL");
    const auto kept = co_await out_.server.keep_lost_wal(lost_wal_);
    operation_state_ = before;
    cluster::LostWalReport report{.timeline = lost_wal_.timeline,
                                  .begin = lost_wal_.begin,
                                  .member = identity_.name,
                                  .end = lost_wal_.end,
                                  .exact = true,
                                  .at = iso_time(out_.clock.wall_now())};
    if (!kept) {
        log::error("{} are not in the cluster, and could not be kept; not rejoining without: {}",
                   cluster::describe(report), kept.error().line());
        seen_.retry_start_at = out_.clock.now() + std::max<Duration>(seen_.settings.loop_wait, 5s);
        co_return false;
    }
    if (kept->end >= report.begin) report.end = kept->end;
    report.kept_in = kept->directory;
    report.kept_bytes = kept->bytes;
    report.kept_whole = kept->whole;
    if (report.bytes() != 0) report.not_kept = kept->why_not;
    if (report.bytes() == 0)
        log::info("{}", cluster::describe(report));
    else if (kept->directory.empty())
        log::error("{} are not in the cluster, and are not kept: {}", cluster::describe(report), kept->why_not);
    else
        log::warning("{} are not in the cluster. {} in {}; to see it: {}", cluster::describe(report),
                     kept->whole ? "They are kept" : "Their beginning is kept", kept->directory,
                     postgres::show_command(lost_wal_, kept->directory));
    co_await tell_lost_wal(std::move(report));
    co_return true;
}

Task<> Node::tell_lost_wal(cluster::LostWalReport report) {
    const auto put = co_await out_.store.commit(
        {{}, {etcd::Operation::put(cluster::lost_wal_key(keys_, report), cluster::write_lost_wal(report))}, {}},
        out_.clock.now() + 2s);
    if (!put) log::warning("could not tell etcd of the lost WAL: {}", put.error().line());
}

}  // namespace pgkeel::agent
