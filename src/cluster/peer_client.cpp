#include "cluster/peer_client.hpp"

#include "cluster/peer_answer.hpp"
#include "log/log.hpp"

namespace pgkeel::cluster {

Task<PeerStatus> HttpPeers::probe(Member member, Deadline deadline) {
    PeerStatus status;
    status.name = member.name;
    auto url = http::parse_url(member.api_url);
    if (!url) {
        log::debug("cannot ask {}: {}", member.name, url.error().line());
        co_return status;
    }
    http::Request request;
    request.target = url->target;
    const auto response = co_await client_.request(*std::move(url), std::move(request), deadline);
    if (!response) {
        log::debug("{} did not answer at {}: {}", member.name, member.api_url, response.error().line());
        co_return status;
    }
    // The status code is about health checks; the body says what it says.
    status = parse_peer_status(member.name, response->body);
    status.seen = clock_.now();
    co_return status;
}

}  // namespace pgkeel::cluster
