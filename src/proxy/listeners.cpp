#include "proxy/listeners.hpp"

#include "auth/ip_address.hpp"
#include "log/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace pgkeel::proxy {

Result<> Listeners::open(const config::PoolerConfig& config, std::vector<Inherited> inherited) {
    inherited_ = std::move(inherited);
    for (const config::Listener& listener : config.listeners)
        if (auto done = open(find(listener), config.settings); !done) return done;
    auto done = open_unix_socket(config.settings);
    inherited_.clear();  // nobody wants the others
    return done;
}

const config::Listener& Listeners::find(const config::Listener& wanted) {
    const std::lock_guard lock(finding_);
    for (const auto& known : listeners_)
        if (*known == wanted) return *known;
    return *listeners_.emplace_back(std::make_unique<config::Listener>(wanted));
}

/// Every socket of the process before us that listened there: in each of them clients may be waiting.
bool Listeners::inherit(const engine::Endpoint& at, const config::Listener& listener) {
    const std::size_t had = sockets_.size();
    for (Inherited& each : inherited_) {
        if (!each.socket || each.at.host != at.host || each.at.port != at.port) continue;
        if (!at.is_unix()) engine::prepare_listener(each.socket.number());
        sockets_.push_back(std::make_unique<Socket>(at, std::move(each.socket), &listener));
    }
    return sockets_.size() > had;
}

/// Each thread has a socket of its own, and the kernel spreads the clients over them.
Result<> Listeners::open(const config::Listener& listener, const config::PoolerSettings& settings) {
    const engine::ListenOptions options{.backlog = static_cast<int>(settings.listen_backlog),
                                        .share = settings.so_reuseport,
                                        .defer_accept_s = static_cast<int>(settings.tcp_defer_accept)};
    std::vector<std::string> addresses{listener.host};
    if (listener.host == "*") addresses = {"0.0.0.0", "::"};
    if (listener.host != "*" && !auth::IpAddress::parse(listener.host)) {
        auto found = engine::resolve_host(listener.host);
        if (!found) return fail(fmt::format("listening on {}", listener.host), std::move(found.error()));
        addresses = std::move(*found);
    }
    for (const std::string& address : addresses) {
        const engine::Endpoint place{.host = address, .port = static_cast<std::uint16_t>(listener.port)};
        if (inherit(place, listener)) continue;
        if (threads_.size() > 1 && !options.share) {
            // Two processes must not share by mistake.
            const auto probe = engine::open_listener(place, options);
            if (!probe) return std::unexpected(probe.error());
            ::close(*probe);
        }
        engine::ListenOptions each = options;
        each.share = each.share || threads_.size() > 1;
        for (std::size_t i = 0; i < threads_.size(); ++i) {
            const auto socket = engine::open_listener(place, each);
            if (!socket && address == "::" && listener.host == "*") break;  // a machine without IPv6
            if (!socket) return std::unexpected(socket.error());
            sockets_.push_back(std::make_unique<Socket>(place, Descriptor(*socket), &listener));
        }
    }
    return {};
}

Result<> Listeners::open_unix_socket(const config::PoolerSettings& settings) {
    if (settings.unix_socket_dir.empty() || settings.listen_port == 0) return {};
    const engine::Endpoint place{.host = fmt::format("{}/.s.PGSQL.{}", settings.unix_socket_dir, settings.listen_port),
                                 .port = 0};
    const config::Listener& listener =
        find({.host = {}, .port = settings.listen_port, .route = config::Route::configured, .pool_mode = std::nullopt});
    if (inherit(place, listener)) return {};
    const auto socket = engine::open_listener(place, {.backlog = static_cast<int>(settings.listen_backlog),
                                                      .share = false,
                                                      .defer_accept_s = 0,
                                                      .unix_mode = static_cast<int>(settings.unix_socket_mode),
                                                      .unix_group = settings.unix_socket_group});
    if (!socket) return std::unexpected(socket.error());
    sockets_.push_back(std::make_unique<Socket>(place, Descriptor(*socket), &listener));
    return {};
}

void Listeners::start() {
    // As many threads as before or not: every socket has a thread, and every thread a socket.
    for (std::size_t begin = 0, end = 0; begin < sockets_.size(); begin = end) {
        const engine::Endpoint& at = sockets_[begin]->at;
        while (end < sockets_.size() && sockets_[end]->at.host == at.host && sockets_[end]->at.port == at.port) ++end;
        const std::size_t count = end - begin;
        const std::size_t most = at.is_unix() ? count : std::max(count, threads_.size());
        for (std::size_t i = 0; i < most; ++i)
            start(*sockets_[begin + i % count], *threads_[at.is_unix() ? 0 : i % threads_.size()]);
        log::info("listening on {}", at.is_unix() ? "unix:" + at.host : fmt::format("{}:{}", at.host, at.port));
    }
}

void Listeners::start(const Socket& socket, Thread& thread) {
    const config::Listener& listener = *socket.listener;
    const auto here = [&thread, &listener](int client) { thread.adopt(client, false, listener); };
    const auto in_turn = [this, &listener](int client) {
        Thread& next = *threads_[next_thread_++ % threads_.size()];
        next.loop().post([&next, &listener, client] { next.adopt(client, true, listener); });
    };
    const int number = socket.socket.number();
    const std::uint64_t listening =
        socket.at.is_unix() ? thread.loop().listen(number, in_turn) : thread.loop().listen(number, here);
    started_.push_back({.thread = &thread, .number = listening, .socket = &socket});
}

void Listeners::stop(const Socket& socket) {
    std::erase_if(started_, [&](const Started& each) {
        if (each.socket != &socket) return false;
        each.thread->loop().stop_listening(each.number);
        return true;
    });
}

void Listeners::rest() {
    for (const auto& socket : sockets_) stop(*socket);
}

void Listeners::close(bool unix_socket, bool tcp) {
    std::erase_if(sockets_, [&](const auto& each) {
        if (each->at.is_unix() ? !unix_socket : !tcp) return false;
        stop(*each);
        if (each->at.is_unix()) ::unlink(each->at.host.c_str());
        return true;
    });
}

void Listeners::leave() {
    rest();
    sockets_.clear();
}

std::vector<Listeners::Known> Listeners::sockets() const {
    std::vector<Known> known;
    known.reserve(sockets_.size());
    for (const auto& each : sockets_) known.push_back({.at = each->at, .socket = each->socket.number()});
    return known;
}

}  // namespace pgkeel::proxy
