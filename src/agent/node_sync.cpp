// What a node does for synchronous replication besides leading (sync_keeper.hpp): a standby leaves its duty.
#include "agent/node.hpp"
#include "log/log.hpp"

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

bool is_synchronous(const ClusterView& view, const std::string& name) {
    return view.leader && view.sync && std::ranges::count(view.sync->members, name) != 0;
}

}  // namespace

Task<> Node::leave_sync_duty() {
    if (seen_.settings.synchronous_mode == SynchronousMode::off || !seen_.view) co_return;
    if (seen_.server.is_primary() || !is_synchronous(*seen_.view, identity_.name)) co_return;
    log::info("asking to be no synchronous standby any more");
    leaving_sync_duty_ = true;
    co_await publish_member();
    // The leader's commits would wait for us; when it does not listen they do.
    const Instant end = out_.clock.now() + 2 * seen_.settings.loop_wait;
    while (out_.clock.now() < end) {
        co_await out_.clock.sleep_for(100ms);
        const auto range = co_await out_.store.range(keys_.prefix, std::min(end, out_.clock.now() + 1s));
        if (!range) continue;
        if (!is_synchronous(cluster::parse_view(keys_, range->values, range->revision), identity_.name)) co_return;
    }
    log::warning("still a synchronous standby after {:.0f} s: going on", seconds(2 * seen_.settings.loop_wait));
}

}  // namespace pgkeel::agent
