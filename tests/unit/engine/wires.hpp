#pragma once
#include "engine/loop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pgkeel::test {

using namespace std::chrono_literals;
using engine::Endpoint;
using engine::Loop;
using engine::SocketOptions;

/// Of the loops that the running test makes.
inline Loop::Kind engine_under_test = Loop::Kind::epoll;

inline std::unique_ptr<Loop> make_loop() {
    auto loop = Loop::create(engine_under_test);
    if (!loop) throw std::runtime_error(loop.error().line());
    return std::move(*loop);
}

/// Runs the loop on this thread until `done` holds, or ten seconds are over: false.
inline bool run_until(Loop& loop, std::function<bool()> done) {
    const Instant deadline = Boottime::now() + 10s;
    while (!done()) {
        if (Boottime::now() > deadline) return false;
        loop.after(1ms, [&loop] { loop.stop(); });
        loop.run();
    }
    return true;
}

inline void run_for(Loop& loop, Duration time) {
    loop.after(time, [&loop] { loop.stop(); });
    loop.run();
}

/// Remembers what it was told, and checks that it was not told from inside a call of its wire.
class Listener final : public pool::WireOwner {
  public:
    std::size_t received(std::string_view shown) override {
        outside();
        ++shows;
        last_shown = shown.size();
        std::size_t used = shown.size();
        if (on_received) used = on_received(shown);
        bytes.append(shown.substr(0, used));
        return used;
    }
    void connected() override { tell("connected", on_connected); }
    void secured() override { tell("secured", on_secured); }
    void drained() override { tell("drained", on_drained); }
    void closed(const std::string& why) override {
        EXPECT_FALSE(is_closed) << "told twice";
        is_closed = true;
        reason = why;
        tell("closed", on_closed);
    }

    bool heard(const std::string& event) const { return std::ranges::find(events, event) != events.end(); }
    /// Calls something of a wire; what the loop tells meanwhile is an error.
    void calling(const std::function<void()>& call) {
        inside_call_ = true;
        call();
        inside_call_ = false;
    }

    std::string bytes;
    int shows = 0;
    std::size_t last_shown = 0;
    bool is_closed = false;
    std::string reason;
    std::vector<std::string> events;
    std::function<std::size_t(std::string_view)> on_received;
    std::function<void()> on_connected, on_secured, on_drained, on_closed;

  private:
    void outside() const { EXPECT_FALSE(inside_call_) << "the owner was called from inside a call of its wire"; }
    void tell(const char* event, const std::function<void()>& hook) {
        outside();
        events.emplace_back(event);
        if (hook) hook();
    }
    bool inside_call_ = false;
};

/// The other end of a wire: a blocking socket, whose reads give up after ten seconds.
class Peer {
  public:
    explicit Peer(int socket = -1) : socket_(socket) { limit(); }
    Peer(Peer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
    Peer& operator=(Peer&& other) noexcept {
        std::swap(socket_, other.socket_);
        return *this;
    }
    ~Peer() { close(); }
    void close() {
        if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    }
    /// The other side gets a reset instead of an end.
    void reset() {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }
    void say(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t sent =
                uninterrupted([&] { return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
            ASSERT_GT(sent, 0) << strerror(errno);
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    void end() const { ::shutdown(socket_, SHUT_WR); }
    /// What has come, at least one byte; "" at the end.
    std::string hear(std::size_t most = 65536) const {
        std::string bytes(most, '\0');
        const ssize_t got = uninterrupted([&] { return ::recv(socket_, bytes.data(), most, 0); });
        EXPECT_GE(got, 0) << strerror(errno);
        bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return bytes;
    }
    bool has_input() const {
        pollfd wanted{.fd = socket_, .events = POLLIN, .revents = 0};
        return ::poll(&wanted, 1, 0) > 0;
    }
    int socket() const { return socket_; }
    int release() { return std::exchange(socket_, -1); }

  private:
    /// The kernel interrupts a thread some time after a ring that it had is gone, and a call with a time limit is not
    /// begun again by itself.
    static ssize_t uninterrupted(const auto& call) {
        ssize_t result;
        do {
            result = call();
        } while (result < 0 && errno == EINTR);
        return result;
    }
    void limit() const {
        const timeval time{.tv_sec = 10, .tv_usec = 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
    }
    int socket_;
};

inline std::uint16_t port_of(int listening_socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listening_socket, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

/// On a free port of the loopback.
inline int tcp_listener() {
    auto socket = engine::open_listener({.host = "127.0.0.1", .port = 0}, {});
    if (!socket) throw std::runtime_error(socket.error().line());
    return *socket;
}

inline Peer connect_tcp(std::uint16_t port, int receive_buffer = 0) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("connect");
    return Peer(socket);
}

/// Two connected sockets, over TCP on the loopback or over a unix socket: the first does not block.
struct SocketPair {
    int ours = -1;
    Peer peer;
};
inline SocketPair connected_pair(bool unix_sockets) {
    if (unix_sockets) {
        int both[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0) throw std::runtime_error("socketpair");
        ::fcntl(both[0], F_SETFL, O_NONBLOCK);
        return {both[0], Peer(both[1])};
    }
    const int listening = tcp_listener();
    Peer peer = connect_tcp(port_of(listening));
    const int ours = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ::close(listening);
    return {ours, std::move(peer)};
}

/// Nothing is to be tested where the kernel has no io_uring, or does not let us.
inline bool has_engine(Loop::Kind kind) {
    return Loop::create(kind).has_value();
}
inline const char* name_of(Loop::Kind kind) {
    return kind == Loop::Kind::epoll ? "epoll" : "io_uring";
}

/// A test that runs once with each kind of loop.
class OnEachEngine : public testing::TestWithParam<Loop::Kind> {
  protected:
    void SetUp() override {
        engine_under_test = GetParam();
        if (!has_engine(GetParam())) GTEST_SKIP() << "there is no " << name_of(GetParam()) << " here";
    }
    void TearDown() override { engine_under_test = Loop::Kind::epoll; }
};
#define ON_EACH_ENGINE(suite)                                                                       \
    INSTANTIATE_TEST_SUITE_P(with, suite, testing::Values(Loop::Kind::epoll, Loop::Kind::io_uring), \
                             [](const auto& engine) { return std::string(name_of(engine.param)); })

/// And with each kind of socket.
class OverBothTransports : public testing::TestWithParam<std::tuple<Loop::Kind, bool>> {
  protected:
    void SetUp() override {
        engine_under_test = std::get<0>(GetParam());
        if (!has_engine(engine_under_test)) GTEST_SKIP() << "there is no " << name_of(engine_under_test) << " here";
    }
    void TearDown() override { engine_under_test = Loop::Kind::epoll; }
    static bool over_unix_sockets() { return std::get<1>(GetParam()); }
};
#define OVER_BOTH_TRANSPORTS(suite)                                                                               \
    INSTANTIATE_TEST_SUITE_P(                                                                                     \
        with, suite, testing::Combine(testing::Values(Loop::Kind::epoll, Loop::Kind::io_uring), testing::Bool()), \
        [](const auto& each) {                                                                                    \
            return std::string(name_of(std::get<0>(each.param))) + (std::get<1>(each.param) ? "_unix" : "_tcp");  \
        })

}  // namespace pgkeel::test
