#include "cluster/peer_client.hpp"

#include "cluster/peer_answer.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

#include <charconv>

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

Task<FailsafeAnswer> HttpPeers::ask_failsafe(std::string name, std::string api_url, FailsafeCall call,
                                             Deadline deadline) {
    auto url = http::parse_url(api_url);
    if (!url) co_return FailsafeAnswer{false, url.error().line()};
    http::Request request;
    request.method = "POST";
    request.target = url->target = "/failsafe";
    request.body = write_failsafe_call(call);
    request.repeatable = true;  // it only makes them wait once more
    request.headers.emplace_back("Content-Type", "application/json");
    if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
    const auto response = co_await client_.request(*std::move(url), std::move(request), deadline);
    if (!response) co_return FailsafeAnswer{false, response.error().line()};
    // Patroni's members answer alike.
    if (response->status == 200) {
        FailsafeAnswer answer{.accepted = true, .why = {}};
        const std::string position = response->header("lsn");
        std::from_chars(position.data(), position.data() + position.size(), answer.position.bytes);
        co_return answer;
    }
    log::debug("{} does not accept: {}", name, response->body);
    co_return FailsafeAnswer{false, fmt::format("{} {}", response->status, response->body.substr(0, 100))};
}

}  // namespace pgkeel::cluster
