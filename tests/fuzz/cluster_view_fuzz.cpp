#include "cluster/keys.hpp"
#include "cluster/peer_answer.hpp"
#include "cluster/transactions.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// Anybody with access to etcd can write anything under the cluster's keys, and anything can answer at a member's
// address. Of what is understood, writing it and reading it again must give the same.

using namespace pgkeel;
using namespace pgkeel::cluster;

namespace {

ClusterView view_of(const Keys& keys, const std::string& key, const std::string& value) {
    return parse_view(keys, {{key, value, 3, 4, 5}}, 6);
}

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const Keys keys{"/service/x/"};
    std::vector<etcd::KeyValue> all;
    for (const std::string& key :
         {keys.initialize(), keys.config(), keys.leader(), keys.status(), keys.member("a"), keys.failover(),
          keys.sync(), keys.history(), keys.legacy_optime(), keys.prefix + text})
        all.push_back({key, text, 3, 4, 5});
    std::vector<std::string> problems;
    const ClusterView view = parse_view(keys, all, 6, &problems);
    require(view.revision == 6 && view.initialize == text && view.status.mod_revision == 4 &&
            view.history_mod_revision == 4);
    require(std::ranges::is_sorted(view.members, {}, &Member::name));
    require(!view.has_history || view.timeline().id != 0);
    (void)take_lease(keys, view, "a", 1, view.status);

    const StatusKey status = view_of(keys, keys.status(), write_status(view.status)).status;
    require(status.optime == view.status.optime && status.slots == view.status.slots &&
            status.heartbeat == view.status.heartbeat && status.holder == view.status.holder &&
            status.released_epoch == view.status.released_epoch && status.ttl_seconds == view.status.ttl_seconds);
    if (view.sync && !view.sync->leader.empty()) {
        const auto sync = view_of(keys, keys.sync(), write_sync(*view.sync)).sync;
        require(sync && sync->leader == view.sync->leader && sync->members == view.sync->members &&
                sync->quorum == view.sync->quorum);
    }
    if (view.failover) {
        const auto failover = view_of(keys, keys.failover(), write_failover(*view.failover)).failover;
        require(failover && failover->leader == view.failover->leader &&
                failover->candidate == view.failover->candidate &&
                failover->scheduled_at == view.failover->scheduled_at);
    }
    if (view.has_history) {
        const ClusterView again = view_of(keys, keys.history(), write_history(view.history));
        require(again.has_history && again.history.size() == view.history.size() &&
                again.timeline() == view.timeline());
    }

    const PeerStatus peer = parse_peer_status("a", text);
    require(peer.name == "a" && (!peer.reachable || text.find('{') != text.npos));
    return 0;
}
