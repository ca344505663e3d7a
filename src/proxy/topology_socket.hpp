#pragma once
#include <string>

namespace pgkeel::proxy {

/// What a member says of its server's Unix socket (keys `unix_socket` and `unix_socket_id` of its JSON in etcd).
/// Patroni's members say nothing.
struct SocketClaim {
    std::string directory{};
    std::string id{};  ///< socket_directory_id() (base/socket_directory.hpp), as the member's agent has computed it
    std::string port{};
    bool operator==(const SocketClaim&) const = default;
};

/// The claim is true here: the path leads to the very directory that the member means, and in it is a socket of that
/// port, which PostgreSQL's lock file lets only one server own, and which we may connect to (unix_socket_permissions).
///
/// A path alone proves nothing: every machine and every container has a /var/run/postgresql. A connection proves
/// nothing either, as any server answers. The host's name or address would be wrong behind NAT and in containers. What
/// is left out are copies of a running virtual machine, memory and all, that go on side by side: they share the boot's
/// id.
bool is_here(const SocketClaim& claim);

}  // namespace pgkeel::proxy
