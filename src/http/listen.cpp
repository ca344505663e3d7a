#include "http/listen.hpp"

#include "base/handles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pgkeel::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using AddressList = std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>>;

constexpr int backlog = 1024;  // the kernel caps it at net.core.somaxconn

std::optional<std::uint16_t> parse_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

/// A listening socket, or nothing when this machine does not have the address or its family.
Result<std::optional<tcp::acceptor>> open_one(const asio::any_io_executor& executor, const tcp::endpoint& endpoint,
                                              bool dual_stack, const std::string& listen) {
    const auto cannot = [&listen](int error) {
        if (error == EADDRINUSE)
            return fail(Errc::already_exists, fmt::format("cannot listen on '{}': the port is in use", listen),
                        "stop the process that has it (ss -ltnp shows it), or choose another port");
        if (error == EACCES)
            return fail(Errc::invalid_input, fmt::format("cannot listen on '{}': {}", listen, std::strerror(error)),
                        "ports below 1024 need the capability CAP_NET_BIND_SERVICE");
        return fail(Errc::io_error, fmt::format("cannot listen on '{}': {}", listen, std::strerror(error)));
    };
    const int family = endpoint.protocol().family();
    const int handle = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (handle < 0) {
        if (errno == EAFNOSUPPORT) return std::optional<tcp::acceptor>();
        return cannot(errno);
    }
    tcp::acceptor acceptor(executor);
    boost::system::error_code error;
    acceptor.assign(endpoint.protocol(), handle, error);
    if (error) {
        ::close(handle);
        return cannot(error.value());
    }
    const int on = 1;
    ::setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int only = dual_stack ? 0 : 1;
    if (family == AF_INET6) ::setsockopt(handle, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    if (::bind(handle, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
        if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT) return std::optional<tcp::acceptor>();
        return cannot(errno);
    }
    if (::listen(handle, backlog) != 0) return cannot(errno);
    return std::optional(std::move(acceptor));
}

Result<std::vector<asio::ip::address>> look_up(const ListenAddress& address, const std::string& listen) {
    boost::system::error_code error;
    if (const auto literal = asio::ip::make_address(address.host, error); !error) return std::vector{literal};
    addrinfo wanted{};
    wanted.ai_flags = AI_PASSIVE;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int failed = ::getaddrinfo(address.host.c_str(), nullptr, &wanted, &found); failed != 0)
        return fail(Errc::invalid_input,
                    fmt::format("cannot listen on '{}': host '{}' has no address: {}", listen, address.host,
                                gai_strerror(failed)),
                    "use an IP address, or * for every address");
    const AddressList owner(found);
    std::vector<asio::ip::address> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        tcp::endpoint endpoint;
        if (one->ai_addrlen > endpoint.capacity()) continue;
        std::memcpy(endpoint.data(), one->ai_addr, one->ai_addrlen);
        if (std::ranges::find(addresses, endpoint.address()) == addresses.end())
            addresses.push_back(endpoint.address());
    }
    return addresses;
}

}  // namespace

Result<ListenAddress> parse_listen(const std::string& text) {
    const auto wrong = [&text](std::string_view why) {
        return fail(Errc::invalid_input, fmt::format("'{}' is not an address to listen on: {}", text, why),
                    "write it as host:port, [IPv6]:port or *:port");
    };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return wrong("the port is missing");
    ListenAddress address{.host = text.substr(0, colon), .port = text.substr(colon + 1)};
    if (!parse_port(address.port)) return wrong(fmt::format("'{}' is not a port", address.port));
    if (address.host.starts_with('[')) {
        if (!address.host.ends_with(']')) return wrong("']' is missing after the IPv6 address");
        address.host = address.host.substr(1, address.host.size() - 2);
        if (address.host.empty()) return wrong("there is no address between the brackets");
    }
    if (address.host == "*") address.host.clear();
    return address;
}

Result<std::vector<tcp::acceptor>> listen_on(const asio::any_io_executor& executor, const std::string& listen) {
    const auto address = parse_listen(listen);
    if (!address) return std::unexpected(address.error());
    std::uint16_t port = *parse_port(address->port);

    std::vector<tcp::acceptor> acceptors;
    const bool everywhere = address->host.empty();
    std::vector<asio::ip::address> addresses{asio::ip::address_v6::any(), asio::ip::address_v4::any()};
    if (!everywhere) {
        auto found = look_up(*address, listen);
        if (!found) return std::unexpected(std::move(found.error()));
        addresses = std::move(*found);
    }
    for (const auto& one : addresses) {
        auto acceptor = open_one(executor, {one, port}, everywhere, listen);
        if (!acceptor) return std::unexpected(std::move(acceptor.error()));
        if (!*acceptor) continue;
        if (port == 0) port = (*acceptor)->local_endpoint().port();
        acceptors.push_back(std::move(**acceptor));
        if (everywhere) break;  // the IPv6 socket takes IPv4 too; without IPv6 the IPv4 one is next
    }
    if (acceptors.empty())
        return fail(Errc::invalid_input,
                    fmt::format("cannot listen on '{}': this machine does not have that address", listen),
                    "use one of this machine's addresses, or * for every address");
    return acceptors;
}

}  // namespace pgkeel::http
