#include "base/handles.hpp"
#include "engine/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <netdb.h>
#include <sys/socket.h>

namespace pgkeel::engine {

Result<std::vector<std::string>> resolve_host(const std::string& host) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    if (failed == EAI_NONAME || failed == EAI_NODATA)
        return fail(Errc::not_found, fmt::format("host '{}' has no address: {}", host, gai_strerror(failed)),
                    "is the name right?");
    if (failed != 0)
        return fail(Errc::unavailable, fmt::format("host '{}' cannot be looked up: {}", host, gai_strerror(failed)),
                    "does the name service answer?");
    const std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>> owner(found);
    std::vector<std::string> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        char text[NI_MAXHOST];
        if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
        if (std::ranges::find(addresses, text) == addresses.end()) addresses.emplace_back(text);
    }
    return addresses;
}

}  // namespace pgkeel::engine
