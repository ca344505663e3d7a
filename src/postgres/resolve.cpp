#include "postgres/resolve.hpp"

#include "async/event.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>

namespace pgkeel::postgres {

namespace {

struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver(executor) {}
    asio::ip::tcp::resolver resolver;
    Event done;
    boost::system::error_code error;
    std::vector<asio::ip::address> addresses;
};

}  // namespace

Task<Result<std::vector<std::string>>> resolve(Clock& clock, std::string host, Deadline deadline) {
    boost::system::error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (!not_an_address) co_return std::vector{host};

    // getaddrinfo cannot be cancelled: when it hangs it is left to itself, and its answer to the callback that owns the
    // lookup.
    const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
    lookup->resolver.async_resolve(host, "", [lookup](boost::system::error_code error, const auto& found) {
        lookup->error = error;
        for (const auto& entry : found) lookup->addresses.push_back(entry.endpoint().address());
        lookup->done.set();
    });
    if (!co_await lookup->done.wait(clock, deadline))
        co_return fail(Errc::timed_out,
                       fmt::format("cannot find the address of {}: the name server did not answer", host));
    if (lookup->error || lookup->addresses.empty())
        co_return fail(Errc::unavailable,
                       fmt::format("cannot find the address of {}: {}", host, lookup->error.message()));
    std::vector<std::string> texts;
    const auto add = [&](bool v4) {
        for (const auto& address : lookup->addresses) {
            if (address.is_v4() != v4) continue;
            if (auto text = address.to_string(); std::ranges::find(texts, text) == texts.end()) texts.push_back(text);
        }
    };
    add(true);
    add(false);
    co_return texts;
}

}  // namespace pgkeel::postgres
