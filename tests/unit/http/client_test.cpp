#include "http/client.hpp"

#include "unit/http/sockets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

namespace pgkeel::http {
namespace {

using namespace pgkeel::test;

constexpr const char* answer_ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Url local(int port, std::string target = "/") {
    return {.host = "127.0.0.1", .port = std::to_string(port), .target = std::move(target)};
}

Deadline in(Duration time) {
    return Boottime::now() + time;
}

Result<Response> ask_once(Url url, Request request = {}, Duration time = 5s) {
    Loop loop;
    Client client({});
    return loop.run(client.request(std::move(url), std::move(request), in(time)));
}

/// Several requests with one client, one after the other; the replies in order.
Task<std::vector<Result<Response>>> in_turn(Client& client, Url url, std::vector<Request> requests) {
    std::vector<Result<Response>> replies;
    for (Request& request : requests) {
        replies.push_back(co_await client.request(url, std::move(request), in(2s)));
        co_await pause(50ms);  // so that what the peer did in between has arrived
    }
    co_return replies;
}

/// Answers every request on a connection as a keep-alive server does.
void serve_all(Peer& peer) {
    while (peer.receive("\r\n\r\n").ends_with("\r\n\r\n")) peer.send(answer_ok);
}

TEST(client, asks_and_reads_the_answer) {
    ServerThread server({.server_header = "s"}, [](Request request) -> Task<Response> {
        co_return Response{
            .status = 503,
            .content_type = "text/plain",
            .headers = {{"X-A", "b"}},
            .body = fmt::format("{} {} {} {}", request.method, request.target, request.header("X-Q"), request.body)};
    });
    const auto response = ask_once(
        local(server.port()), {.method = "PATCH", .target = "/config?x=1", .headers = {{"X-Q", "q"}}, .body = "{}"});
    ASSERT_TRUE(response) << response.error().line();
    EXPECT_EQ(response->status, 503);
    EXPECT_EQ(response->content_type, "text/plain");
    EXPECT_EQ(response->header("x-a"), "b");
    EXPECT_EQ(response->body, "PATCH /config?x=1 q {}");
}

TEST(client, takes_the_target_from_the_url_when_the_request_has_none) {
    ServerThread server({});
    EXPECT_EQ(ask_once(local(server.port(), "/of/url"))->body, "/of/url");
    EXPECT_EQ(ask_once(local(server.port(), "/of/url"), {.target = "/of/request"})->body, "/of/request");
}

TEST(client, sends_what_a_server_needs_to_know) {
    std::string seen;
    ScriptedServer server([&seen](Peer& peer, int) {
        seen = peer.receive("{}");
        peer.send(answer_ok);
    });
    ASSERT_TRUE(
        ask_once(local(server.port()),
                 {.method = "POST", .target = "/v3/kv/txn", .headers = {{"Authorization", "t"}}, .body = "{}"}));
    EXPECT_EQ(
        seen,
        fmt::format("POST /v3/kv/txn HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: keep-alive\r\nAuthorization: t\r\n"
                    "Content-Length: 2\r\n\r\n{{}}",
                    server.port()));
}

TEST(client, reads_answers_without_a_length_and_of_head) {
    ScriptedServer server([](Peer& peer, int) {
        peer.receive("\r\n\r\n");
        peer.send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\"");
        peer.send(": 1}");
    });
    EXPECT_EQ(ask_once(local(server.port()))->body, "{\"a\": 1}");
    const auto head = ask_once(local(server.port()), {.method = "HEAD"});
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->body, "");
}

TEST(client, uses_a_connection_again) {
    ScriptedServer server([](Peer& peer, int) { serve_all(peer); });
    {
        Loop loop;
        Client client({});
        for (const auto& reply :
             loop.run(in_turn(client, local(server.port()), {{}, {.method = "POST"}, {.method = "PUT"}})))
            EXPECT_EQ(reply->body, "ok");
        EXPECT_EQ(server.connections(), 1);
        client.reload({});
        EXPECT_TRUE(loop.run(client.request(local(server.port()), {}, in(2s))));
        EXPECT_EQ(server.connections(), 2);
    }
}

TEST(client, keeps_two_connections_and_closes_the_oldest_beyond) {
    ScriptedServer server([](Peer& peer, int) { serve_all(peer); });
    Loop loop;
    Client client({});
    const auto one = [](Client& c, Url url) -> Task<> { EXPECT_TRUE(co_await c.request(std::move(url), {}, in(2s))); };
    const auto at_once = [&](int count) -> Task<> {
        std::vector<Task<>> tasks;
        for (int i = 0; i < count; ++i) tasks.push_back(one(client, local(server.port())));
        co_await all_of(std::move(tasks));
    };
    loop.run(at_once(3));
    EXPECT_EQ(server.connections(), 3);
    loop.run(at_once(2));
    EXPECT_EQ(server.connections(), 3);
    loop.run(at_once(3));
    EXPECT_EQ(server.connections(), 4);
}

TEST(client, keeps_its_connection_to_our_server) {
    std::set<std::string> seen;
    ServerThread server({}, [&seen](Request request) -> Task<Response> {
        seen.insert(request.header("connection"));
        co_return Response{.body = "ok"};
    });
    Loop loop;
    Client client({});
    for (const auto& reply : loop.run(in_turn(client, local(server.port()), {{}, {.method = "POST"}, {}}))) {
        ASSERT_TRUE(reply) << reply.error().line();
        EXPECT_EQ(reply->header("connection"), "keep-alive");
    }
    EXPECT_EQ(seen, (std::set<std::string>{"keep-alive"}));
}

TEST(client, may_outlive_the_loop_that_its_idle_connections_belong_to) {
    std::promise<void> ended;
    ScriptedServer server([&ended](Peer& peer, int number) {
        serve_all(peer);
        if (number == 0) ended.set_value();
    });
    Client client({});
    {
        Loop loop;
        ASSERT_TRUE(loop.run(client.request(local(server.port()), {}, in(2s))));
    }
    EXPECT_EQ(ended.get_future().wait_for(5s), std::future_status::ready) << "the connection is open still";
    Loop next;
    EXPECT_TRUE(next.run(client.request(local(server.port()), {}, in(2s))));
    EXPECT_EQ(server.connections(), 2);
}

TEST(client, does_not_use_a_connection_again_that_the_peer_has_closed) {
    ScriptedServer server([](Peer& peer, int) {
        peer.receive("\r\n\r\n");
        peer.send(answer_ok);
    });
    Loop loop;
    Client client({});
    // POST: nothing may be sent into a dead connection, for then it could not be sent again.
    for (const auto& reply :
         loop.run(in_turn(client, local(server.port()), {{.method = "POST"}, {.method = "POST"}, {.method = "POST"}})))
        EXPECT_TRUE(reply) << reply.error().line();
    EXPECT_EQ(server.connections(), 3);
}

/// The first connection answers once and dies with the second request in its hands.
void die_on_the_second_request(Peer& peer, int connection) {
    if (connection > 0) return serve_all(peer);
    peer.receive("\r\n\r\n");
    peer.send(answer_ok);
    peer.receive("\r\n\r\n");
}

TEST(client, repeats_only_what_does_no_harm_when_a_reused_connection_dies) {
    {
        ScriptedServer server(die_on_the_second_request);
        Loop loop;
        Client client({});
        const auto replies = loop.run(in_turn(client, local(server.port()), {{}, {.method = "POST"}}));
        ASSERT_FALSE(replies[1]);
        EXPECT_EQ(replies[1].error().code, Errc::maybe_done) << replies[1].error().line();
        EXPECT_EQ(server.connections(), 1);
    }
    for (const Request& second :
         {Request{}, Request{.method = "HEAD"}, Request{.method = "POST", .repeatable = true}}) {
        ScriptedServer server(die_on_the_second_request);
        Loop loop;
        Client client({});
        const auto replies = loop.run(in_turn(client, local(server.port()), {{}, second}));
        EXPECT_TRUE(replies[1]) << replies[1].error().line();
        EXPECT_EQ(server.connections(), 2);
    }
}

TEST(client, says_maybe_done_when_a_write_was_sent_and_not_answered) {
    for (const std::string_view half :
         {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "rubbish\r\n\r\n"}) {
        ScriptedServer server([half](Peer& peer, int) {
            peer.receive("\r\n\r\n");
            peer.send(half);
        });
        const auto write = ask_once(local(server.port()), {.method = "POST"});
        ASSERT_FALSE(write);
        EXPECT_EQ(write.error().code, Errc::maybe_done) << write.error().line();
        const auto read = ask_once(local(server.port()));
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code, Errc::unavailable) << read.error().line();
        EXPECT_EQ(server.connections(), 2);
    }
}

TEST(client, holds_the_deadline_of_the_answer) {
    ScriptedServer server([](Peer& peer, int) { peer.closed_within(100ms), peer.receive_all(2s); });
    const Instant start = Boottime::now();
    const auto write = ask_once(local(server.port()), {.method = "POST"}, 200ms);
    ASSERT_FALSE(write);
    EXPECT_EQ(write.error().code, Errc::maybe_done);
    const auto read = ask_once(local(server.port()), {}, 200ms);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::timed_out);
    EXPECT_GE(since(start), 390ms);
    EXPECT_LT(since(start), 1s);
}

TEST(client, says_unavailable_when_nobody_listens) {
    int port = 0;
    {
        ScriptedServer gone([](Peer&, int) {});
        port = gone.port();
    }
    const auto reply = ask_once(local(port), {.method = "POST"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::unavailable);
    EXPECT_TRUE(reply.error().text.contains(fmt::format("127.0.0.1:{}", port))) << reply.error().line();
    const auto unknown = ask_once({.host = "no-such-host.invalid", .port = "80"});
    ASSERT_FALSE(unknown);
    EXPECT_NE(unknown.error().code, Errc::maybe_done);
}

TEST(client, holds_the_deadline_while_connecting) {
    // A listener whose queue is full does not answer a SYN.
    const int handle = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(handle, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(handle, 0), 0);
    ASSERT_EQ(::getsockname(handle, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const int port = ntohs(address.sin_port);
    const Peer fills_the_queue(port);
    const Instant start = Boottime::now();
    const auto reply = ask_once(local(port), {.method = "POST"}, 300ms);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::timed_out) << reply.error().line();
    EXPECT_LT(since(start), 1s);
    ::close(handle);
}

TEST(client, finds_hosts_by_name) {
    ServerThread server({.listen = "localhost:0"});
    EXPECT_EQ(ask_once({.host = "localhost", .port = std::to_string(server.port()), .target = "/x"})->body, "/x");
}

TEST(client, lets_no_text_begin_a_header_or_a_request_of_its_own) {
    EXPECT_EQ(ask_once(local(1), {.headers = {{"X", "a\r\nY: b"}}}).error().code, Errc::invalid_input);
    EXPECT_EQ(ask_once(local(1), {.target = "/a HTTP/1.1\r\n\r\n"}).error().code, Errc::invalid_input);
    EXPECT_EQ(ask_once(local(1), {.method = "GET /"}).error().code, Errc::invalid_input);
}

TEST(client, makes_many_requests_at_once) {
    ServerThread server({});
    Loop loop;
    Client client({});
    int good = 0;
    const auto one = [](Client& c, Url url, int& count) -> Task<> {
        const auto reply = co_await c.request(std::move(url), {}, in(5s));
        count += reply && reply->body == "/y";
    };
    const auto all = [&]() -> Task<> {
        std::vector<Task<>> tasks;
        for (int i = 0; i < 50; ++i) tasks.push_back(one(client, local(server.port(), "/y"), good));
        co_await all_of(std::move(tasks));
    };
    loop.run(all());
    EXPECT_EQ(good, 50);
}

struct Streamed {
    std::string data;
    Error end;
};

Streamed stream(int port, Duration headers_time = 5s, Duration idle_max = 5s, std::string_view stop_at = "\x01") {
    Loop loop;
    Client client({});
    Streamed result;
    result.end = loop.run(client.stream(local(port, "/v3/watch"), {.method = "POST", .body = "{}"}, in(headers_time),
                                        idle_max, [&result, stop_at](std::string_view data) {
                                            result.data += data;
                                            return !result.data.contains(stop_at);
                                        }));
    return result;
}

constexpr const char* chunked_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(client_stream, hands_over_data_until_the_peer_ends_it) {
    ScriptedServer server([](Peer& peer, int) {
        peer.receive("{}");
        peer.send(chunked_head);
        for (const char* chunk : {"4\r\none\n\r\n", "4\r\ntwo\n\r\n", "0\r\n\r\n"}) {
            peer.send(chunk);
            std::this_thread::sleep_for(30ms);
        }
    });
    const auto result = stream(server.port());
    EXPECT_EQ(result.data, "one\ntwo\n");
    EXPECT_EQ(result.end.code, Errc::unavailable);
}

TEST(client_stream, ends_when_told_to_or_when_nothing_comes) {
    ScriptedServer server([](Peer& peer, int) {
        peer.receive("{}");
        peer.send(chunked_head);
        for (int i = 0; i < 5; ++i) {  // data every 100 ms keep a stream with an idle limit of 250 ms open
            peer.send("4\r\ndata\r\n");
            std::this_thread::sleep_for(100ms);
        }
        peer.receive_all(2s);
    });
    const Instant start = Boottime::now();
    EXPECT_EQ(stream(server.port(), 5s, 250ms, "datadata").end.code, Errc::cancelled);
    EXPECT_LT(since(start), 300ms);
    const auto idle = stream(server.port(), 5s, 250ms);
    EXPECT_EQ(idle.end.code, Errc::timed_out) << idle.end.line();
    EXPECT_EQ(idle.data, "datadatadatadatadata");
}

TEST(client_stream, holds_the_deadline_of_the_headers) {
    ScriptedServer server([](Peer& peer, int) { peer.receive_all(2s); });
    const Instant start = Boottime::now();
    EXPECT_EQ(stream(server.port(), 200ms).end.code, Errc::timed_out);
    EXPECT_LT(since(start), 1s);
}

TEST(client_stream, tells_other_statuses_with_the_beginning_of_their_body) {
    for (const auto& [status, code] : {std::pair{"401 Unauthorized", Errc::denied},
                                       {"404 Not Found", Errc::not_found},
                                       {"503 Service Unavailable", Errc::unavailable}}) {
        ScriptedServer server([status](Peer& peer, int) {
            peer.receive("{}");
            peer.send(fmt::format("HTTP/1.1 {}\r\nContent-Length: 13\r\n\r\ninvalid token", status));
            peer.receive_all(100ms);
        });
        const auto result = stream(server.port());
        EXPECT_EQ(result.data, "");
        EXPECT_EQ(result.end.code, code);
        EXPECT_TRUE(result.end.text.contains("invalid token")) << result.end.line();
    }
}

}  // namespace
}  // namespace pgkeel::http
