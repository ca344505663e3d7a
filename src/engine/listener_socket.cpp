#include "engine/socket.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

namespace pgkeel::engine {
namespace {

std::unexpected<Error> cannot_listen(const Endpoint& at, int error) {
    if (error == EADDRINUSE)
        return fail(Errc::already_exists, fmt::format("cannot listen on '{}': somebody listens there", to_string(at)),
                    at.is_unix() ? "stop the process that has it, or choose another directory or port"
                                 : "stop the process that has it (ss -ltnp shows it), or choose another port");
    return fail(Errc::io_error, fmt::format("cannot listen on '{}': {}", to_string(at), std::strerror(error)));
}

/// The file of a unix socket outlives its process: only nobody's may go.
Result<> remove_stale(const Endpoint& at, const SocketAddress& address) {
    struct stat file{};
    if (::lstat(at.host.c_str(), &file) != 0) return {};
    if (!S_ISSOCK(file.st_mode))
        return fail(Errc::io_error, fmt::format("cannot listen on '{}': it is a file that is no socket", at.host));
    const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return cannot_listen(at, errno);
    // A listener with a full backlog answers EAGAIN, one of another user EACCES: both are alive.
    if (::connect(probe.number(), address.get(), address.size) == 0 || errno != ECONNREFUSED)
        return cannot_listen(at, EADDRINUSE);
    if (::unlink(at.host.c_str()) != 0 && errno != ENOENT) return cannot_listen(at, errno);
    return {};
}

Result<> set_permissions(const Endpoint& at, const ListenOptions& options) {
    if (!options.unix_group.empty()) {
        group entry{};
        group* found = nullptr;
        std::vector<char> text(16384);
        ::getgrnam_r(options.unix_group.c_str(), &entry, text.data(), text.size(), &found);
        if (found == nullptr)
            return fail(Errc::invalid_input,
                        fmt::format("cannot give the unix socket '{}' to group '{}': there is none", at.host,
                                    options.unix_group));
        if (::chown(at.host.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0)
            return fail(Errc::io_error, fmt::format("cannot give the unix socket '{}' to group '{}': {}", at.host,
                                                    options.unix_group, std::strerror(errno)));
    }
    if (::chmod(at.host.c_str(), static_cast<mode_t>(options.unix_mode)) != 0)
        return fail(Errc::io_error, fmt::format("cannot set the mode of the unix socket '{}' to {:o}: {}", at.host,
                                                options.unix_mode, std::strerror(errno)));
    return {};
}

}  // namespace

void prepare_listener(int listening_socket) {
    const int on = 1;
    ::setsockopt(listening_socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(listening_socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

Result<int> open_listener(const Endpoint& at, const ListenOptions& options) {
    const auto address = socket_address(at);
    if (!address) return fail("cannot listen", address.error());
    const bool has_file = at.host.starts_with('/');
    if (has_file)
        if (auto done = remove_stale(at, *address); !done) return std::unexpected(std::move(done.error()));
    Descriptor socket(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return cannot_listen(at, errno);
    const auto set = [&socket](int level, int option, int value) {
        return ::setsockopt(socket.number(), level, option, &value, sizeof value);
    };
    if (!at.is_unix()) {
        set(SOL_SOCKET, SO_REUSEADDR, 1);
        if (options.share && set(SOL_SOCKET, SO_REUSEPORT, 1) != 0) return cannot_listen(at, errno);
        // Its own address only, whatever the system's default: 0.0.0.0 and :: are two listeners on one port.
        if (address->family() == AF_INET6) set(IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (options.defer_accept_s > 0) set(IPPROTO_TCP, TCP_DEFER_ACCEPT, options.defer_accept_s);
        prepare_listener(socket.number());
    }
    if (::bind(socket.number(), address->get(), address->size) != 0) return cannot_listen(at, errno);
    // Before listen(): nobody can connect while the permissions are those of the umask.
    if (has_file)
        if (auto done = set_permissions(at, options); !done) {
            ::unlink(at.host.c_str());
            return std::unexpected(std::move(done.error()));
        }
    if (::listen(socket.number(), options.backlog) != 0) return cannot_listen(at, errno);
    return socket.release();
}

}  // namespace pgkeel::engine
