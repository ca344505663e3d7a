#pragma once
#include "async/clock.hpp"
#include "base/peer_status.hpp"

#include <map>
#include <string>

namespace pgkeel::cluster {

/// POST /failsafe: a leader that cannot reach etcd asks whether it may go on (docs/decisions/0009-failsafe.md).
struct FailsafeCall {
    std::string name;
    std::string conn_url;
    std::string api_url;
    std::map<std::string, Lsn> slots;
    std::int64_t ttl_seconds = 0;  ///< what it promises to stop within; 0: it is not ours, and says nothing
};
std::string write_failsafe_call(const FailsafeCall& call);
/// Nothing when the text is no such call.
std::optional<FailsafeCall> read_failsafe_call(std::string_view text);

struct FailsafeAnswer {
    bool accepted = false;
    std::string why;    ///< not
    Lsn position = {};  ///< how far the WAL is that it has; zero: it does not say
};

/// The other nodes' REST APIs as an election needs them. The real one is HttpPeers; the simulation has another.
class Peers {
  public:
    virtual ~Peers() = default;
    /// Never fails: a node that does not answer before `deadline` is not reachable.
    virtual Task<PeerStatus> probe(Member member, Deadline deadline) = 0;
    /// Asks the node whose API is at `api_url`. Never fails: who does not answer does not accept.
    virtual Task<FailsafeAnswer> ask_failsafe(std::string name, std::string api_url, FailsafeCall call,
                                              Deadline deadline) = 0;
};

}  // namespace pgkeel::cluster
