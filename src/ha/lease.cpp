#include "ha/lease.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::ha {

using namespace std::chrono_literals;

LeaseTerms LeaseTerms::of(const ClusterSettings& settings) {
    const Duration ttl = settings.ttl;
    LeaseTerms terms;
    terms.ttl = ttl;
    terms.margin = std::clamp<Duration>(ttl / 5, 500ms, 3s);
    terms.stop_budget = std::clamp<Duration>(ttl / 10, 300ms, 5s);
    terms.renew_every = std::min<Duration>(settings.loop_wait, ttl / 5);
    return terms;
}

Duration takeover_wait(const StatusKey& status, const ClusterSettings& settings) {
    const Duration ttl = std::max<Duration>(settings.ttl, std::chrono::seconds(status.ttl_seconds));
    // Clock rates may differ by 1 % on each side, and a timer may be read 100 ms late.
    return ttl + ttl / 50 + 100ms;
}

void HeartbeatWatch::saw(const StatusKey& status, Instant now) {
    if (status.heartbeat == 0) return;
    if (status.heartbeat == heartbeat_ && status.mod_revision == mod_revision_) return;
    heartbeat_ = status.heartbeat;
    mod_revision_ = status.mod_revision;
    changed_at_ = now;
}

void HeartbeatWatch::accepted_failsafe(Instant now, std::chrono::seconds ttl) {
    accepted_at_ = now;
    accepted_ttl_ = std::max(ttl, accepted_ttl_);
}

Instant HeartbeatWatch::bound_until(const StatusKey& status, const ClusterSettings& settings) const {
    if (!accepted_at_) return {};
    StatusKey promised = status;
    promised.ttl_seconds = std::max<std::int64_t>(status.ttl_seconds, accepted_ttl_.count());
    return *accepted_at_ + takeover_wait(promised, settings);
}

namespace {

/// The last holder has written that its server stopped before it gave the lease up.
bool was_released(const StatusKey& status) {
    return status.released_epoch != 0;
}

}  // namespace

Takeover may_take_lease(const ClusterView& view, const HeartbeatWatch& heartbeat, const std::string& self,
                        const ClusterSettings& settings, Instant now) {
    const StatusKey& status = view.status;
    const bool holder_is_pgkeel = status.heartbeat != 0;
    const auto wait_for_silence = [&](std::string_view what) {
        const Instant at = heartbeat.changed_at() + takeover_wait(status, settings);
        const double left = std::max(0.0, seconds(at - now));
        return Takeover{now >= at, at, at,
                        fmt::format("{}; no heartbeat of {} for {:.1f} s, {:.1f} s to wait", what,
                                    status.holder.empty() ? "the last leader" : status.holder,
                                    seconds(now - heartbeat.changed_at()), left)};
    };

    if (const Instant bound = heartbeat.bound_until(status, settings); now < bound && !was_released(status))
        return {false, bound, bound,
                fmt::format("this node accepted {:.1f} s ago that the leader goes on without etcd, {:.1f} s to wait",
                            seconds(now - *heartbeat.accepted_at()), seconds(bound - now))};
    if (view.leader) {
        if (view.leader->name == self) return {true, now, {}, "the leader key names this node"};
        if (!holder_is_pgkeel || status.holder != view.leader->name)
            return {
                false,
                Instant::max(),
                {},
                fmt::format("{} holds the leader key, and runs Patroni: it ends when etcd says so", view.leader->name)};
        return wait_for_silence(fmt::format("{} holds the leader key", view.leader->name));
    }
    if (was_released(status))
        return {true, now, heartbeat.changed_at(), "the last leader stopped its server and released the key"};
    if (holder_is_pgkeel && status.holder == self)
        return {true, now, {}, "the key has vanished, and this node held it last"};
    if (heartbeat.ever()) return wait_for_silence("the key vanished without a release");
    if (!holder_is_pgkeel) return {true, now, {}, "there is no leader key, and no pgkeel node has led since"};
    return {false, Instant::max(), {}, "the last leader's heartbeat has not been seen yet"};
}

}  // namespace pgkeel::ha
