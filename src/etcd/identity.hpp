#pragma once
#include "etcd/codec.hpp"

#include <optional>
#include <string>

namespace pgkeel::etcd {

/// Tells whether an answer comes from the etcd that was spoken to before, and not from its past. A member cut off from
/// the others, an old copy of a member, and an etcd restored from a backup all answer as if nothing were wrong; a
/// decision on such an answer can promote a second primary (reliability: F65, F66).
class Identity {
  public:
    /// What had been seen when a request was sent. Only against this may its answer be measured: of two requests at the
    /// same time the one that etcd served first may well be answered last.
    struct Floor {
        std::uint64_t raft_term = 0;
        Revision revision = 0;
        int trust =
            0;  ///< grows with every `forget`: older requests may still be on their way to the etcd that was replaced
    };
    Floor floor() const { return floor_; }

    /// \param linearizable  the answer's revision is the cluster's and not what one member has got to
    /// \return what is wrong with it; nothing: it is good and has been remembered
    std::optional<std::string> check(const Header& header, Floor sent_at, bool linearizable);

    /// Trusts the next answer, whoever gives it: an operator says that etcd was replaced on purpose.
    void forget() {
        cluster_id_ = 0;
        floor_ = {.trust = floor_.trust + 1};
    }

  private:
    std::uint64_t cluster_id_ = 0;
    Floor floor_;
};

}  // namespace pgkeel::etcd
