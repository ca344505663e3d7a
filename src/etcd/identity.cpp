#include "etcd/identity.hpp"

#include <fmt/format.h>

namespace pgkeel::etcd {

std::optional<std::string> Identity::check(const Header& header, Floor sent_at, bool linearizable) {
    if (sent_at.trust != floor_.trust) return "it was asked before the options were reloaded";
    if (header.cluster_id == 0) return "its answer names no cluster";
    if (cluster_id_ != 0 && header.cluster_id != cluster_id_)
        return fmt::format("it belongs to another etcd cluster, {:x} instead of {:x}", header.cluster_id, cluster_id_);
    if (header.raft_term < sent_at.raft_term)
        return fmt::format("it is behind: its raft term is {}, and term {} has been seen", header.raft_term,
                           sent_at.raft_term);
    if (linearizable && header.revision < sent_at.revision)
        return fmt::format("it has lost data: its revision is {}, and revision {} has been seen", header.revision,
                           sent_at.revision);
    cluster_id_ = header.cluster_id;
    floor_.raft_term = std::max(floor_.raft_term, header.raft_term);
    if (linearizable) floor_.revision = std::max(floor_.revision, header.revision);
    return std::nullopt;
}

}  // namespace pgkeel::etcd
