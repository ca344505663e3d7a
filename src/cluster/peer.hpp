#pragma once
#include "async/clock.hpp"
#include "base/peer_status.hpp"

namespace pgkeel::cluster {

/// The other nodes' REST APIs as an election needs them. The real one is HttpPeers; the simulation has another.
class Peers {
  public:
    virtual ~Peers() = default;
    /// Never fails: a node that does not answer before `deadline` is not reachable.
    virtual Task<PeerStatus> probe(Member member, Deadline deadline) = 0;
};

}  // namespace pgkeel::cluster
