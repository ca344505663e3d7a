#include "http/resolve.hpp"

#include "async/event.hpp"

#include <fmt/format.h>
#include <boost/asio/this_coro.hpp>

#include <charconv>
#include <memory>

namespace pgkeel::http {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

/// How long the name service may take when an older answer is at hand; and no more than a quarter of the caller's time,
/// who has a connection to make.
constexpr Duration patience_with_old_answer = 1s;

/// getaddrinfo cannot be interrupted: the lookup goes on alone in Asio's resolver thread when nobody waits any more.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver(executor) {}
    tcp::resolver resolver;
    boost::system::error_code error;
    Resolver::Endpoints found;
    Event done;
};

void start(const std::shared_ptr<Lookup>& lookup, const std::string& host, const std::string& port) {
    lookup->resolver.async_resolve(
        host, port, tcp::resolver::numeric_service,
        [lookup](boost::system::error_code error, const tcp::resolver::results_type& results) {
            lookup->error = error;
            for (const auto& one : results) lookup->found.push_back(one.endpoint());
            lookup->done.set();
        });
}

}  // namespace

Task<Result<Resolver::Endpoints>> Resolver::resolve(Clock& clock, std::string host, std::string port,
                                                    Deadline deadline) {
    boost::system::error_code not_literal;
    const auto literal = asio::ip::make_address(host, not_literal);
    if (!not_literal) {
        std::uint16_t number = 0;
        std::from_chars(port.data(), port.data() + port.size(), number);
        co_return Endpoints{{literal, number}};
    }
    const auto key = std::make_pair(host, port);
    const bool has_old = last_good_.contains(key);
    const auto lookup = std::make_shared<Lookup>(co_await asio::this_coro::executor);
    start(lookup, host, port);
    const Instant now = clock.now();
    const Instant until = has_old ? now + std::min(patience_with_old_answer, (deadline - now) / 4) : deadline;
    const bool answered = co_await lookup->done.wait(clock, until);
    if (answered && !lookup->error && !lookup->found.empty()) {
        last_good_[key] = lookup->found;
        co_return lookup->found;
    }
    if (const auto old = last_good_.find(key); old != last_good_.end()) co_return old->second;
    if (!answered)
        co_return fail(Errc::timed_out, fmt::format("the name service gave no address of host '{}' in time", host));
    co_return fail(Errc::unavailable, fmt::format("host '{}' has no address: {}", host, lookup->error.message()),
                   "is the name right, and does the name service answer?");
}

}  // namespace pgkeel::http
