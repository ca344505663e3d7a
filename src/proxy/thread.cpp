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

void Thread::adopt(int socket, bool unix_socket, const config::Listener& listener) {
    worker_.accept(listener, [&](pool::WireOwner& owner) {
        return loop_->adopt_accepted(socket, unix_socket, owner, socket_options(worker_.config().settings));
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

// ---- an online restart

void Thread::depart(pool::SessionImage image, pool::OwnedWire client, pool::OwnedWire server) {
    Departing departing{.image = std::move(image), .thread = worker_.id(), .client = {}, .server = {}};
    if (client) departing.client = loop_->detach(std::move(client));
    if (server) departing.server = loop_->detach(std::move(server));
    const auto is_plain = [](const auto& wire) { return !wire || wire->plain_socket() >= 0; };
    // Bytes of it are here still: perhaps later.
    if (!is_plain(departing.client) || !is_plain(departing.server)) return take_back(std::move(departing), false);
    world_.successor().offer(std::move(departing));
}

void Thread::take_back(Departing departing, bool stays) {
    const pool::SessionImage& image = departing.image;
    const auto attach = [this](std::optional<engine::LooseWire>& wire) {
        return [this, &wire](pool::WireOwner& owner) { return loop_->attach(std::move(*wire), owner); };
    };
    const config::Listener& listener =
        world_.listeners().find(image.client ? image.client->listener : config::Listener{});
    const auto admitted = worker_.admit(
        image, listener, {.client = attach(departing.client), .server = attach(departing.server), .stays = stays});
    if (!admitted && image.client) log::error("a client that came back cannot go on here: {}", admitted.error().line());
}

Result<> Thread::admit(const pool::SessionImage& image, std::vector<Descriptor>& sockets,
                       std::move_only_function<bool()> confirm) {
    if (sockets.size() != std::size_t{image.client.has_value()} + std::size_t{image.server.has_value()})
        return fail(Errc::invalid_input, "a session has come with other sockets than it has connections");
    const auto adopt = [this, &sockets](bool last) {
        return [this, &sockets, last](pool::WireOwner& owner) {
            const int socket = (last ? sockets.back() : sockets.front()).release();
            return loop_->adopt(socket, owner, socket_options(worker_.config().settings));
        };
    };
    const config::Listener& listener =
        world_.listeners().find(image.client ? image.client->listener : config::Listener{});
    return worker_.admit(image, listener,
                         {.client = adopt(false), .server = adopt(true), .confirm = std::move(confirm)});
}

bool Thread::cancel_elsewhere(std::uint64_t key, pool::ClientRef asker) {
    return world_.cancels().ask(key, asker);
}

void Thread::cancelled(std::uint32_t asker) {
    world_.cancels().done(asker);
}

}  // namespace pgkeel::proxy
