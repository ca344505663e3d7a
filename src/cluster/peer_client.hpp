#pragma once
#include "cluster/peer.hpp"
#include "http/client.hpp"

namespace pgkeel::cluster {

/// The real Peers: HTTP requests to the members' api_url.
class HttpPeers final : public Peers {
  public:
    /// \param authorization  the header of requests that change something; empty: without
    HttpPeers(Clock& clock, http::ClientTls tls, std::string authorization = {})
        : clock_(clock), client_(std::move(tls)), authorization_(std::move(authorization)) {}
    Task<PeerStatus> probe(Member member, Deadline deadline) override;
    Task<FailsafeAnswer> ask_failsafe(std::string name, std::string api_url, FailsafeCall call,
                                      Deadline deadline) override;
    void reload(http::ClientTls tls, std::string authorization = {}) {
        client_.reload(std::move(tls));
        authorization_ = std::move(authorization);
    }

  private:
    Clock& clock_;
    http::Client client_;
    std::string authorization_;
};

}  // namespace pgkeel::cluster
