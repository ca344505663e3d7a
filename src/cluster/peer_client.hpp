#pragma once
#include "cluster/peer.hpp"
#include "http/client.hpp"

namespace pgkeel::cluster {

/// The real Peers: HTTP requests to the members' api_url.
class HttpPeers final : public Peers {
  public:
    HttpPeers(Clock& clock, http::ClientTls tls) : clock_(clock), client_(std::move(tls)) {}
    Task<PeerStatus> probe(Member member, Deadline deadline) override;
    void reload(http::ClientTls tls) { client_.reload(std::move(tls)); }

  private:
    Clock& clock_;
    http::Client client_;
};

}  // namespace pgkeel::cluster
