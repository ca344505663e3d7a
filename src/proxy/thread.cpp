#include "proxy/thread.hpp"

#include "proxy/console_session.hpp"
#include "proxy/world.hpp"

#include <pthread.h>

#include <utility>

namespace pgkeel::proxy {

namespace {

/// How exact timeouts are.
constexpr Duration maintenance_period = std::chrono::milliseconds(100);

engine::SocketOptions socket_options(const config::PoolerSettings& settings) {
    const auto whole_seconds = [](Duration time) {
        return static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
    };
    return {.keepalive = settings.tcp_keepalive,
            .keepalive_count = static_cast<int>(settings.tcp_keepcnt),
            .keepalive_idle_s = whole_seconds(settings.tcp_keepidle),
            .keepalive_interval_s = whole_seconds(settings.tcp_keepintvl),
            .user_timeout_ms = static_cast<int>(
                std::chrono::duration_cast<std::chrono::milliseconds>(settings.tcp_user_timeout).count()),
            .buffer_bytes = static_cast<int>(settings.tcp_socket_buffer)};
}

}  // namespace

Thread::Thread(World& world, pool::WorkerId id, std::unique_ptr<engine::Loop> loop)
    : world_(world), loop_(std::move(loop)), resolver_(*loop_), worker_(id, world.hub(), *this) {}

void Thread::run() {
    maintain();
    loop_->run();
}

void Thread::start() {
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "pgkeel-worker");
        run();
    });
}

void Thread::join() {
    if (thread_.joinable()) thread_.join();
}

void Thread::maintain() {
    worker_.maintain();
    loop_->after(maintenance_period, [this] { maintain(); });
}

void Thread::adopt(int socket, const config::Listener& listener) {
    worker_.accept(listener, [&](pool::WireOwner& owner) {
        return loop_->adopt(socket, owner, socket_options(worker_.config().settings));
    });
}

void Thread::post(pool::WorkerId worker, std::move_only_function<void(pool::Worker&)> job) {
    Thread& thread = world_.thread(worker);
    thread.loop().post([&thread, job = std::move(job)]() mutable { job(thread.worker_); });
}

void Thread::resolve(const std::string& host, std::uint16_t port,
                     std::move_only_function<void(Result<std::string>)> done) {
    resolver_.resolve(host, port, worker_.config().settings, std::move(done));
}

pool::OwnedWire Thread::connect(const std::string& address, std::uint16_t port, pool::WireOwner& owner) {
    return loop_->connect({.host = address, .port = port}, owner, socket_options(worker_.config().settings));
}

void Thread::hand_over(pool::OwnedWire wire, pool::WorkerId to,
                       std::move_only_function<void(pool::Worker&, Attach)> arrived) {
    Thread& other = world_.thread(to);
    other.loop().post([&other, loose = loop_->detach(std::move(wire)), arrived = std::move(arrived)]() mutable {
        arrived(other.worker_, [&](pool::WireOwner& owner) { return other.loop().attach(std::move(loose), owner); });
    });
}

std::shared_ptr<ssl_ctx_st> Thread::client_tls() const {
    return world_.tls().client_side;
}

std::shared_ptr<ssl_ctx_st> Thread::server_tls() const {
    return world_.tls().server_side;
}

std::unique_ptr<pool::Console> Thread::open_console(pool::Client& client) {
    return std::make_unique<ConsoleSession>(world_, client);
}

}  // namespace pgkeel::proxy
