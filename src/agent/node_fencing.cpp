// When this node's fences are armed: before its server may take writes, and until it is certain that it takes none.
#include "agent/node.hpp"
#include "log/log.hpp"

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

/// A paused cluster's primary goes on without a lease, so there is no deadline to keep.
Task<Result<>> Node::arm_fences(pid_t postmaster) {
    if (seen_.settings.pause) co_return Result<>{};
    co_return co_await out_.fences.arm(postmaster);
}

/// Follows what was seen; what operations do they arm for themselves. This is also how an agent that was started again
/// takes over a primary, and how a cluster goes on after a pause.
Task<> Node::keep_fences() {
    if (seen_.settings.pause) {
        out_.fences.disarm(Fences::Disarmed::paused);
        co_return;
    }
    // An operation that began or ended since the look may have made a primary of what was seen.
    if (seen_.operation || operation_ended_ || fencing_) co_return;
    const ServerState& server = seen_.server;
    const bool standby = server.accepts_connections ? server.in_recovery : server.standby_signal;
    if (server.postmaster == Postmaster::absent || (server.running() && server.accepts_connections && standby)) {
        out_.fences.disarm(Fences::Disarmed::no_writes);
        co_return;
    }
    if (!keeper_.held() || !server.running() || standby) co_return;
    if (const auto armed = co_await out_.fences.arm(server.postmaster_pid); !armed)
        log::error("this primary is not fenced: {}", armed.error().line());
}

// ---- fence_command

/// Whom the operator's command has to deal with before this node is promoted: who led last and has not released the
/// lease, and whoever the nodes since have not dealt with. The key `status` keeps them should this agent end.
void Node::note_unfenced(bool taking) {
    unfenced_.clear();
    if (!out_.scripts.can_fence()) return;
    const StatusKey& last = seen_.view->status;
    unfenced_ = last.unfenced;
    if (taking && last.released_epoch == 0 && !last.holder.empty()) unfenced_.push_back(last.holder);
    std::ranges::sort(unfenced_);
    unfenced_.erase(std::unique(unfenced_.begin(), unfenced_.end()), unfenced_.end());
    std::erase(unfenced_, identity_.name);
}

/// False: the lease is lost, or the agent stops.
Task<bool> Node::fence_earlier_leaders() {
    while (!unfenced_.empty()) {
        const std::string name = unfenced_.front();
        const auto done = co_await out_.scripts.fence(name, hosts_[name]);
        if (!keeper_.held() || stopping_) co_return false;
        if (done) {
            log::info("fence_command: {} writes no more", name);
            std::erase(unfenced_, name);
            continue;
        }
        log::error("not promoted, because {} may still take writes: {}", name, done.error().line());
        co_await out_.clock.sleep_for(1s);
        if (!keeper_.held() || stopping_) co_return false;
    }
    co_return true;
}

}  // namespace pgkeel::agent
