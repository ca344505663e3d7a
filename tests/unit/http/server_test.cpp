#include "http/server.hpp"

#include "http/client.hpp"
#include "unit/http/sockets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <sys/resource.h>

namespace pgkeel::http {
namespace {

using namespace pgkeel::test;

constexpr const char* health_check = "OPTIONS /primary HTTP/1.0\r\n\r\n";

Task<Response> describe(Request request) {
    co_return Response{
        .content_type = "text/plain",
        .headers = {},
        .body = fmt::format("{} {} from {} tls={} length={} body={}", request.method, request.target,
                            request.peer_address, request.tls, request.has_content_length, request.body)};
}

TEST(server, answers_in_http_1_0_and_closes) {
    ServerThread server({.server_header = "pgkeel", .extra_headers = {{"X-Extra", "yes"}}}, describe);
    const std::string answer = ask(server.port(), "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.0 200 OK\r\nServer: pgkeel\r\n")) << answer;
    EXPECT_TRUE(answer.contains("\r\nX-Extra: yes\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /a?b from 127.0.0.1 tls=false length=false body=")) << answer;
}

constexpr const char* kept_request = "GET /x HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n";

TEST(server, keeps_the_connection_of_who_asks_for_it) {
    ServerThread server({}, describe);
    const Peer peer(server.port());
    for (int i = 0; i < 3; ++i) {
        peer.send(kept_request);
        const std::string answer = peer.receive("body=");
        EXPECT_TRUE(answer.starts_with("HTTP/1.0 200 OK\r\n")) << answer;
        EXPECT_TRUE(answer.contains("\r\nConnection: keep-alive\r\n")) << answer;
    }
    peer.send("POST /y HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");  // and the last one does not ask
    const std::string last = peer.receive_all();
    EXPECT_TRUE(last.ends_with("body=hello")) << last;
    EXPECT_FALSE(last.contains("keep-alive")) << last;
}

TEST(server, ends_a_kept_connection_that_is_idle_or_sends_more_than_its_request) {
    ServerThread server({.limits = {.idle_deadline = 100ms}}, describe);
    const Peer idle(server.port());
    idle.send(kept_request);
    EXPECT_TRUE(idle.receive_all().ends_with("body="));
    const Peer hasty(server.port());
    hasty.send(std::string(kept_request) + kept_request);
    const std::string answer = hasty.receive_all();
    EXPECT_FALSE(answer.contains("keep-alive")) << answer;
}

TEST(server, drops_an_idle_kept_connection_for_a_new_one) {
    ServerThread server({.limits = {.connections_max = 1}}, describe);
    const Peer kept(server.port());
    kept.send(kept_request);
    EXPECT_TRUE(kept.receive("body=").contains("200 OK"));
    EXPECT_TRUE(ask(server.port(), "GET /new HTTP/1.1\r\n\r\n").contains("GET /new"));
    EXPECT_EQ(kept.receive_all(), "");
}

TEST(server, gives_bare_answers_to_health_checks) {
    ServerThread server(
        {}, [](Request) -> Task<Response> { co_return Response{.status = 503, .body = "x", .bare = true}; });
    EXPECT_EQ(ask(server.port(), health_check), "HTTP/1.0 503 Service Unavailable\r\n\r\n");
}

TEST(server, hands_over_bodies_and_says_whether_they_had_a_length) {
    ServerThread server({}, describe);
    EXPECT_TRUE(
        ask(server.port(), "POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").ends_with("length=true body=hello"));
    EXPECT_TRUE(ask(server.port(), "POST /x HTTP/1.1\r\n\r\n").ends_with("length=false body="));
}

TEST(server, says_100_continue_to_who_waits_for_it) {
    ServerThread server({}, describe);
    const Peer peer(server.port());
    peer.send("PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(peer.receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("hello");
    EXPECT_TRUE(peer.receive_all().ends_with("body=hello"));
}

TEST(server, refuses_bad_requests_with_a_page_before_the_handler) {
    std::atomic<int> handled = 0;
    ServerThread server({.limits = {.header_bytes_max = 1024, .body_bytes_max = 1024}},
                        [&handled](Request) -> Task<Response> {
                            ++handled;
                            co_return Response{};
                        });
    const auto status_of = [&server](const std::string& bytes) {
        const std::string answer = ask(server.port(), bytes);
        EXPECT_TRUE(answer.contains("Content-Type: text/html")) << answer;
        return answer.substr(0, 12);
    };
    EXPECT_EQ(status_of("rubbish\r\n\r\n"), "HTTP/1.0 400");
    EXPECT_EQ(status_of("GET http://a/ HTTP/1.1\r\n\r\n"), "HTTP/1.0 400");
    EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), "HTTP/1.0 400");
    EXPECT_EQ(status_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "HTTP/1.0 501");
    // The answer must survive that the rest was never read.
    EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x')),
              "HTTP/1.0 413");
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nX: " + std::string(500'000, 'x') + "\r\n\r\n"), "HTTP/1.0 431");
    EXPECT_EQ(handled, 0);
}

TEST(server, survives_a_handler_that_throws_and_keeps_its_text_inside) {
    ServerThread server({}, [](Request) -> Task<Response> {
        throw std::runtime_error("secret");
        co_return Response{};
    });
    const std::string answer = ask(server.port(), "GET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.0 500 ")) << answer;
    EXPECT_FALSE(answer.contains("secret"));
}

TEST(server, answers_a_health_check_at_once_while_600_strangers_are_idle) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 4096) {
        files.rlim_cur = std::min<rlim_t>(4096, files.rlim_max);
        ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    }
    // One address stands for many here, so its own limit is out of the way.
    ServerThread server({.limits = {.connections_per_address_max = 10'000}});
    std::vector<Peer> strangers;
    for (int i = 0; i < 600; ++i) {
        strangers.emplace_back(server.port());
        if (i % 3 == 0) strangers.back().send("GET / HT");  // a third is slow instead of silent
    }
    const Instant start = Boottime::now();
    const std::string answer = ask(server.port(), health_check);
    EXPECT_LT(since(start), 100ms);
    EXPECT_TRUE(answer.starts_with("HTTP/1.0 200 OK")) << answer;
    // Those who came first made room, and the newest are still there.
    EXPECT_TRUE(strangers.front().closed_within(1s));
    EXPECT_FALSE(strangers.back().closed_within(50ms));
}

TEST(server, answers_a_health_check_at_once_while_one_address_holds_its_limit) {
    ServerThread server({});
    std::vector<Peer> strangers;
    for (int i = 0; i < 100; ++i) strangers.emplace_back(server.port());
    const Instant start = Boottime::now();
    EXPECT_TRUE(ask(server.port(), health_check).starts_with("HTTP/1.0 200 OK"));
    EXPECT_LT(since(start), 100ms);
    EXPECT_TRUE(strangers[0].closed_within(1s));
    EXPECT_TRUE(strangers[36].closed_within(1s));  // 100 strangers and the check, of which 64 may stay
    EXPECT_FALSE(strangers[37].closed_within(50ms));
}

TEST(server, does_not_drop_a_request_that_is_being_handled_for_a_stranger) {
    ServerThread server({.limits = {.connections_max = 3}}, [](Request request) -> Task<Response> {
        co_await pause(300ms);
        co_return Response{.body = "done " + request.target};
    });
    const Peer working(server.port());
    working.send("POST /switchover HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    std::this_thread::sleep_for(50ms);
    std::vector<Peer> strangers;
    for (int i = 0; i < 20; ++i) strangers.emplace_back(server.port());
    EXPECT_TRUE(working.receive_all().ends_with("done /switchover"));
}

TEST(server, ends_a_slow_loris_at_the_header_deadline) {
    ServerThread server({.limits = {.header_deadline = 300ms}});
    const Instant start = Boottime::now();
    const Peer slow(server.port());
    slow.send("GET / HTTP/1.1\r\n");
    while (since(start) < 5s && !slow.closed_within(20ms))
        slow.send("X: y\r\n");  // a header every 20 ms keeps nothing open
    EXPECT_GE(since(start), 280ms);
    EXPECT_LT(since(start), 1s);
}

TEST(server, ends_idle_connections_and_slow_bodies_at_their_deadlines) {
    ServerThread server({.limits = {.header_deadline = 200ms, .body_deadline = 300ms}});
    const Instant start = Boottime::now();
    const Peer idle(server.port());
    const Peer slow(server.port());
    slow.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_TRUE(idle.closed_within(1s));
    EXPECT_LT(since(start), 290ms);
    EXPECT_TRUE(slow.closed_within(1s));
    EXPECT_GE(since(start), 280ms);
}

TEST(server, bounds_the_memory_that_bodies_of_strangers_take) {
    ServerThread server({.limits = {.body_deadline = 10s, .body_bytes_max = 100'000, .all_bodies_bytes_max = 250'000}});
    const std::string most = "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(90'000, 'x');
    std::vector<Peer> strangers;
    for (int i = 0; i < 3; ++i) {
        strangers.emplace_back(server.port());
        strangers.back().send(most);
        std::this_thread::sleep_for(50ms);
    }
    EXPECT_TRUE(strangers[0].closed_within(1s));
    EXPECT_FALSE(strangers[1].closed_within(50ms));
    strangers[2].send(std::string(10'000, 'x'));
    EXPECT_TRUE(strangers[2].receive_all().starts_with("HTTP/1.0 200 OK"));
}

TEST(server, is_not_disturbed_by_resets) {
    ServerThread server({}, [](Request) -> Task<Response> {
        co_await pause(20ms);
        co_return Response{.body = std::string(5'000'000, 'x')};
    });
    for (const char* begun : {"", "GET / HT", "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab",
                              "GET / HTTP/1.1\r\n\r\n", "rubbish\r\n\r\n"})
        for (int i = 0; i < 5; ++i) {
            Peer peer(server.port());
            peer.send(begun);
            if (i % 2 == 0) std::this_thread::sleep_for(2ms);
            if (i == 4) peer.receive("x", 500ms);  // in the middle of the answer
            peer.reset();
        }
    EXPECT_TRUE(ask(server.port(), "GET / HTTP/1.1\r\n\r\n").ends_with("xxx"));
}

TEST(server, answers_a_client_that_has_ended_its_sending) {
    ServerThread server({});
    const Peer peer(server.port());
    peer.send("GET /x HTTP/1.0\r\n\r\n");
    peer.end_of_sending();
    EXPECT_TRUE(peer.receive_all().ends_with("/x"));
}

TEST(server, says_whose_port_is_taken) {
    ServerThread server({});
    asio::io_context loop;
    BoottimeClock clock(loop.get_executor());
    const auto second =
        Server::start(loop.get_executor(), clock, {.listen = fmt::format("127.0.0.1:{}", server.port())},
                      ServerThread::answer_with_path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::already_exists);
    EXPECT_NE(second.error().hint, "");
    const auto foreign =
        Server::start(loop.get_executor(), clock, {.listen = "192.0.2.1:0"}, ServerThread::answer_with_path);
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Errc::invalid_input);
    const auto unknown =
        Server::start(loop.get_executor(), clock, {.listen = "no-such-host.invalid:0"}, ServerThread::answer_with_path);
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::invalid_input);
}

TEST(server, listens_on_every_address_and_on_names) {
    for (const char* listen : {"*:0", ":0", "0.0.0.0:0", "localhost:0"}) {
        ServerThread server({.listen = listen}, describe);
        EXPECT_TRUE(ask(server.port(), "GET / HTTP/1.0\r\n\r\n").contains("from 127.0.0.1")) << listen;
    }
}

TEST(server, leaves_no_socket_to_children) {
    ServerThread server({});
    const Peer peer(server.port());
    peer.send("GET");
    std::this_thread::sleep_for(50ms);
    int inherited = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream file(entry.path());
        std::error_code gone;
        const auto target = std::filesystem::read_symlink("/proc/self/fd/" + entry.path().filename().string(), gone);
        for (std::string word; file >> word;)
            if (word == "flags:" && file >> word && target.string().starts_with("socket:"))
                inherited += (std::stoul(word, nullptr, 8) & 02000000UL) == 0;
    }
    EXPECT_EQ(inherited, 0);
}

TEST(server, gives_no_body_to_head) {
    ServerThread server({});
    EXPECT_TRUE(ask(server.port(), "HEAD /x HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST(server, serves_the_newest_when_descriptors_run_out) {
    ServerThread server({});
    std::promise<void> is_held, go_on;
    auto held = std::async(std::launch::async, [&] {
        server.call([&] {
            is_held.set_value();
            go_on.get_future().get();
        });
    });
    is_held.get_future().get();
    std::vector<Peer> strangers;  // wait in the kernel's queue while the server is held
    for (int i = 0; i < 50; ++i) strangers.emplace_back(server.port());
    const Peer health(server.port());
    health.send(health_check);

    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    rlimit few = files;
    few.rlim_cur = static_cast<rlim_t>(health.handle()) + 10;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    go_on.set_value();
    held.get();
    const std::string answer = health.receive_all(2s);
    setrlimit(RLIMIT_NOFILE, &files);
    EXPECT_TRUE(answer.starts_with("HTTP/1.0 200 OK")) << answer;
    EXPECT_TRUE(strangers.front().closed_within(1s));
}

TEST(server, listens_on_ipv6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    const int handle = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool here = handle >= 0 && ::bind(handle, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(handle);
    if (!here) GTEST_SKIP() << "this machine has no ::1";
    for (const char* listen : {"[::1]:0", "*:0"}) {
        ServerThread server({.listen = listen}, describe);
        Loop loop;
        Client client({});
        const auto answer =
            loop.run(client.request({.host = "::1", .port = std::to_string(server.port())}, {}, Boottime::now() + 2s));
        ASSERT_TRUE(answer) << answer.error().line();
        EXPECT_TRUE(answer->body.contains("from ::1")) << answer->body;
    }
}

TEST(server, waits_for_its_handlers_when_it_stops) {
    bool done = false;
    auto handling = std::make_shared<std::promise<void>>();
    ServerThread server({}, [handling, &done](Request) -> Task<Response> {
        handling->set_value();
        co_await pause(200ms);
        done = true;
        co_return Response{};
    });
    const Peer peer(server.port());
    peer.send("GET / HTTP/1.0\r\n\r\n");
    const Peer idle(server.port());
    handling->get_future().get();
    server.wait_until_stopped();
    EXPECT_TRUE(done);
    EXPECT_TRUE(idle.closed_within(0ms));
}

TEST(server, stops_while_a_handler_is_busy) {
    auto handling = std::make_shared<std::promise<void>>();
    ServerThread server({}, [handling](Request) -> Task<Response> {
        handling->set_value();
        co_await pause(50ms);
        co_return Response{};
    });
    const Peer peer(server.port());
    peer.send("GET / HTTP/1.0\r\n\r\n");
    handling->get_future().get();
    server.call([&server] { server.server().stop(); });
    EXPECT_TRUE(peer.closed_within(1s));
    EXPECT_THROW(Peer{server.port()}, std::runtime_error);
}

}  // namespace
}  // namespace pgkeel::http
