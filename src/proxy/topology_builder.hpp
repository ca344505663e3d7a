#pragma once
#include "proxy/member_probe.hpp"
#include "proxy/topology.hpp"
#include "proxy/topology_socket.hpp"

#include <functional>
#include <map>
#include <string>

namespace pgkeel::proxy {

/// Makes the topology out of what etcd and the members say, whichever spoke last. Pure but for `is_here`; remembers
/// what one look cannot tell: since when a member is silent or out of step.
class TopologyBuilder {
  public:
    explicit TopologyBuilder(std::function<bool(const SocketClaim&)> is_here) : is_here_(std::move(is_here)) {}

    /// The keys of etcd are these.
    void saw(const ClusterView& view, Instant now);
    /// The member's REST API has answered.
    void heard(const std::string& name, MemberFacts facts, Instant now);
    /// Looks again which Unix sockets are here.
    void check_sockets();

    Topology build(bool stale, Instant now) const;
    std::int64_t epoch() const { return epoch_; }
    /// The leader key names somebody whose server is not known to be a primary yet.
    bool is_unsettled() const;

  private:
    struct Known {
        std::string raw;  ///< the key's text from which the facts were taken
        std::string host, port;
        bool runs_pgkeel = false;
        SocketClaim claim;
        bool socket_is_here = false;
        MemberFacts facts;
        std::optional<Instant> last_heard;
        Instant position_at{};  ///< when facts.position was told
        std::optional<std::uint64_t> lag_bytes;
        bool has_been_in_step = false;
        std::optional<Instant> out_of_step_since;
    };
    void take(const Member& member, Instant now);
    void measure_lag(Instant now);
    void look_at_steps(Instant now);
    bool is_in_step(const Known& standby) const;
    const Known* leader() const;

    std::function<bool(const SocketClaim&)> is_here_;
    std::string cluster_id_, leader_name_;
    std::int64_t epoch_ = 0;
    Lsn leader_position_;  ///< without a leader: of the last one
    std::map<std::string, Known> members_;
};

}  // namespace pgkeel::proxy
