#pragma once
#include "base/descriptor.hpp"
#include "base/result.hpp"
#include "engine/loop.hpp"
#include "pool/wire.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <utility>

namespace pgkeel::engine {

/// The address of an Endpoint as the system calls want it.
struct SocketAddress {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    int family() const { return bytes.ss_family; }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};
/// Errors: invalid_input — neither an address nor a path that fits.
Result<SocketAddress> socket_address(const Endpoint& endpoint);

/// "127.0.0.1:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432": for texts.
std::string to_string(const Endpoint& endpoint);

bool is_unix_socket(int socket);
void apply_options(int socket, bool unix_socket, const SocketOptions& options);
/// Of what a prepared listener has accepted: it has TCP_NODELAY and SO_KEEPALIVE already.
void apply_to_accepted(int socket, bool unix_socket, const SocketOptions& options);
/// Asks the kernel; what it does not know (any more) stays empty.
pool::WireFacts socket_facts(int socket, bool unix_socket);
/// The error the socket has waiting, and has no more: "" when there is none.
std::string take_socket_error(int socket);

}  // namespace pgkeel::engine
