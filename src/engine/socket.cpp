#include "engine/socket.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

namespace pgkeel::engine {
namespace {

void set(int socket, int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
}

/// An IPv4 client of an IPv6 listener is shown as what it is.
void name_address(const sockaddr_storage& from, std::string& address, std::uint16_t& port) {
    const auto dotted = [](const void* bytes) {
        const auto* b = static_cast<const unsigned char*>(bytes);
        return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);  // a third of what inet_ntop() takes
    };
    if (from.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
        address = dotted(&v4.sin_addr);
        port = ntohs(v4.sin_port);
    } else if (from.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
        char text[INET6_ADDRSTRLEN] = "";
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        address = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? dotted(&v6.sin6_addr.s6_addr[12]) : text;
        port = ntohs(v6.sin6_port);
    }
}

}  // namespace

Result<SocketAddress> socket_address(const Endpoint& endpoint) {
    SocketAddress address;
    if (endpoint.is_unix()) {
        auto& path = reinterpret_cast<sockaddr_un&>(address.bytes);
        path.sun_family = AF_UNIX;
        const bool abstract = endpoint.host.starts_with('@');
        // A path ends with a zero byte; an abstract name begins with one and ends with its length.
        if (endpoint.host.size() + (abstract ? 0 : 1) > sizeof path.sun_path)
            return fail(Errc::invalid_input,
                        fmt::format("the path of the unix socket '{}' is too long: {} bytes, the system takes {}",
                                    endpoint.host, endpoint.host.size(), sizeof path.sun_path - 1),
                        "choose a shorter directory");
        std::memcpy(path.sun_path, endpoint.host.data(), endpoint.host.size());
        if (abstract) path.sun_path[0] = '\0';
        address.size =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + endpoint.host.size() + (abstract ? 0 : 1));
        return address;
    }
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.bytes);
    if (::inet_pton(AF_INET, endpoint.host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        address.size = sizeof v4;
        return address;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.bytes);
    if (::inet_pton(AF_INET6, endpoint.host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        address.size = sizeof v6;
        return address;
    }
    return fail(Errc::invalid_input, fmt::format("'{}' is not an IP address", endpoint.host));
}

std::string to_string(const Endpoint& endpoint) {
    if (endpoint.is_unix()) return endpoint.host;
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
              : fmt::format("{}:{}", endpoint.host, endpoint.port);
}

bool is_unix_socket(int socket) {
    int domain = 0;
    socklen_t size = sizeof domain;
    return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

void apply_options(int socket, bool unix_socket, const SocketOptions& options) {
    if (!unix_socket) {
        set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
        set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    }
    apply_to_accepted(socket, unix_socket, options);
}

void apply_to_accepted(int socket, bool unix_socket, const SocketOptions& options) {
    if (options.buffer_bytes > 0) {
        set(socket, SOL_SOCKET, SO_SNDBUF, options.buffer_bytes);
        set(socket, SOL_SOCKET, SO_RCVBUF, options.buffer_bytes);
    }
    if (unix_socket) return;
    if (options.user_timeout_ms > 0) set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms);
    if (!options.keepalive) return set(socket, SOL_SOCKET, SO_KEEPALIVE, 0);
    if (options.keepalive_count > 0) set(socket, IPPROTO_TCP, TCP_KEEPCNT, options.keepalive_count);
    if (options.keepalive_idle_s > 0) set(socket, IPPROTO_TCP, TCP_KEEPIDLE, options.keepalive_idle_s);
    if (options.keepalive_interval_s > 0) set(socket, IPPROTO_TCP, TCP_KEEPINTVL, options.keepalive_interval_s);
}

pool::WireFacts socket_facts(int socket, bool unix_socket) {
    pool::WireFacts facts;
    if (unix_socket) {
        facts.unix_socket = true;
        facts.address = facts.local_address = "unix";
        ucred peer{};
        socklen_t size = sizeof peer;
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
            facts.peer_pid = peer.pid;
            facts.peer_uid = peer.uid;
        }
        return facts;
    }
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0)
        name_address(address, facts.address, facts.port);
    size = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0)
        name_address(address, facts.local_address, facts.local_port);
    return facts;
}

std::string take_socket_error(int socket) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    return error == 0 ? std::string() : std::string(std::strerror(error));
}

}  // namespace pgkeel::engine
