#pragma once
#include "async/clock.hpp"
#include "async/spawn.hpp"
#include "http/server.hpp"

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pgkeel::test {

using namespace std::chrono_literals;

inline std::chrono::milliseconds since(Instant start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Boottime::now() - start);
}

/// The event loop of the test itself. Make it before whatever is used on it.
class Loop {
  public:
    template <class T>
    T run(Task<T> task) {
        auto result = asio::co_spawn(loop_, std::move(task), asio::use_future);
        loop_.restart();
        loop_.run();
        return result.get();
    }

  private:
    asio::io_context loop_;
};

inline Task<> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

/// A Server on its own thread, as the agent's is: the test talks to it with plain blocking sockets.
class ServerThread {
  public:
    explicit ServerThread(http::ServerOptions options, http::Server::Handler handler = answer_with_path)
        : work_(loop_.get_executor()), clock_(loop_.get_executor()) {
        if (options.listen.empty()) options.listen = "127.0.0.1:0";
        auto server = http::Server::start(loop_.get_executor(), clock_, std::move(options), std::move(handler));
        if (!server) throw std::runtime_error(server.error().line());
        server_ = std::move(*server);
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~ServerThread() {
        call([this] { server_->stop(); });
        work_.reset();
        loop_.stop();
        thread_.join();
    }
    ServerThread(const ServerThread&) = delete;
    ServerThread& operator=(const ServerThread&) = delete;

    int port() const { return server_->port(); }
    http::Server& server() { return *server_; }
    Clock& clock() { return clock_; }

    template <class F>
    std::invoke_result_t<F> call(F work) {
        std::packaged_task<std::invoke_result_t<F>()> task(std::move(work));
        auto done = task.get_future();
        asio::post(loop_, [&task] { task(); });
        return done.get();
    }

    void wait_until_stopped() { asio::co_spawn(loop_, server_->stopped(), asio::use_future).get(); }

    static Task<http::Response> answer_with_path(http::Request request) {
        co_return http::Response{.content_type = "text/plain", .headers = {}, .body = request.target};
    }

  private:
    asio::io_context loop_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    BoottimeClock clock_;
    std::unique_ptr<http::Server> server_;
    std::thread thread_;
};

/// A blocking TCP connection to this machine.
class Peer {
  public:
    explicit Peer(int port) : handle_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(handle_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("connect");
    }
    struct Adopted {
        int handle;
    };
    explicit Peer(Adopted adopted) : handle_(adopted.handle) {}
    ~Peer() {
        if (handle_ >= 0) ::close(handle_);
    }
    Peer(Peer&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}
    Peer& operator=(Peer&&) = delete;

    int handle() const { return handle_; }
    bool send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto sent = ::send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// Closes so that the other side sees a reset.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(handle_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        ::close(std::exchange(handle_, -1));
    }
    void end_of_sending() const { ::shutdown(handle_, SHUT_WR); }

    /// What comes until `until` is in it, the peer closes, or `patience` is over.
    std::string receive(std::string_view until, std::chrono::milliseconds patience = 5s) const {
        std::string got;
        const auto end = Boottime::now() + patience;
        while (!got.contains(until)) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Boottime::now());
            pollfd wait{handle_, POLLIN, 0};
            if (left <= 0ms || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) break;
            char buffer[4096];
            const auto bytes = ::recv(handle_, buffer, sizeof buffer, 0);
            if (bytes <= 0) break;
            got.append(buffer, static_cast<std::size_t>(bytes));
        }
        return got;
    }
    std::string receive_all(std::chrono::milliseconds patience = 5s) const {
        return receive("\x01 never in an answer of ours", patience);
    }
    /// The other side has closed, within `patience`.
    bool closed_within(std::chrono::milliseconds patience) const {
        const auto start = Boottime::now();
        pollfd wait{handle_, POLLIN, 0};
        char byte = 0;
        return ::poll(&wait, 1, static_cast<int>(patience.count())) == 1 && ::recv(handle_, &byte, 1, 0) <= 0 &&
               since(start) <= patience;
    }

  private:
    int handle_;
};

inline std::string ask(int port, std::string_view request) {
    const Peer peer(port);
    peer.send(request);
    return peer.receive_all();
}

/// A server that does to every connection what the test wants of a strange one, each on its own thread.
class ScriptedServer {
  public:
    using Script = std::function<void(Peer&, int connection)>;

    explicit ScriptedServer(Script script)
        : script_(std::move(script)), handle_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(handle_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(handle_, 16) != 0 ||
            ::getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("listen");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { accept_all(); });
    }
    ~ScriptedServer() {
        ::shutdown(handle_, SHUT_RDWR);
        thread_.join();
        ::close(handle_);
        for (std::thread& thread : threads_) thread.join();
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    int port() const { return port_; }
    int connections() const { return connections_; }

  private:
    void accept_all() {
        for (;;) {
            const int handle = ::accept4(handle_, nullptr, nullptr, SOCK_CLOEXEC);
            if (handle < 0) return;
            threads_.emplace_back([this, handle, number = connections_++] {
                Peer peer(Peer::Adopted{handle});
                script_(peer, number);
            });
        }
    }

    Script script_;
    int handle_;
    int port_ = 0;
    std::atomic<int> connections_ = 0;
    std::list<std::thread> threads_;
    std::thread thread_;
};

}  // namespace pgkeel::test
