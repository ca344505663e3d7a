#include "cluster/peer_client.hpp"

#include "http/server.hpp"
#include "support/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::cluster {
namespace {

using namespace std::chrono_literals;

Task<http::Response> tell(http::Request request) {
    // Patroni's health paths answer 503 for a node of another role: the body counts.
    http::Response response;
    response.status = request.path() == "/patroni" ? 503 : 404;
    response.body = R"({"state":"running","role":"replica","xlog":{"received_location":50},"patroni":{"name":"b"}})";
    co_return response;
}

TEST(http_peers, ask_a_member_at_the_address_it_publishes) {
    test::EventLoop loop;
    auto server = http::Server::start(loop.context.get_executor(), loop.clock, {.listen = "127.0.0.1:0"}, tell);
    ASSERT_TRUE(server) << server.error().line();
    HttpPeers peers(loop.clock, {});
    Member member;
    member.name = "b";
    member.api_url = fmt::format("http://127.0.0.1:{}/patroni", (*server)->port());
    const Instant before = loop.clock.now();
    const PeerStatus status = loop.run(peers.probe(member, before + 2s));
    EXPECT_TRUE(status.reachable);
    EXPECT_EQ(status.position, Lsn{50});
    EXPECT_GE(status.seen, before);
    (*server)->stop();
}

TEST(http_peers, find_nobody_where_nobody_answers) {
    test::EventLoop loop;
    auto server = http::Server::start(loop.context.get_executor(), loop.clock, {.listen = "127.0.0.1:0"}, tell);
    ASSERT_TRUE(server);
    const int port = (*server)->port();
    (*server)->stop();
    server->reset();
    HttpPeers peers(loop.clock, {});
    Member member;
    member.name = "b";
    for (const std::string& url :
         {fmt::format("http://127.0.0.1:{}/patroni", port), std::string(), std::string("nonsense")}) {
        member.api_url = url;
        const PeerStatus status = loop.run(peers.probe(member, loop.clock.now() + 1s));
        EXPECT_FALSE(status.reachable) << url;
        EXPECT_EQ(status.name, "b");
    }
}

}  // namespace
}  // namespace pgkeel::cluster
