#include "async/event.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/this_coro.hpp>

namespace pgkeel {

/// Suspends a coroutine until somebody sends into its channel. It ends with its event loop, as a timer would, and needs
/// no reactor: a loop of coroutines alone makes no system call.
struct Event::Waiter {
    explicit Waiter(const asio::any_io_executor& executor, std::list<Waiter*>& all)
        : channel(executor, 1), list(all), place(all.insert(all.end(), this)) {}
    ~Waiter() { list.erase(place); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    void wake() { channel.try_send(boost::system::error_code()); }

    asio::experimental::channel<void(boost::system::error_code)> channel;
    std::list<Waiter*>& list;
    std::list<Waiter*>::iterator place;
};

void Event::set() {
    set_ = true;
    for (Waiter* waiter : waiters_) waiter->wake();
}

Task<> Event::park(Waiter& waiter) {
    co_await waiter.channel.async_receive(asio::as_tuple(asio::use_awaitable));
}

Task<bool> Event::wait(Clock& clock, Instant until) {
    if (!set_ && clock.now() < until) {
        Waiter waiter(co_await asio::this_coro::executor, waiters_);
        const auto alarm = clock.call_at(until, [&waiter] { waiter.wake(); });
        co_await park(waiter);
    }
    const bool was_set = set_;
    set_ = false;
    co_return was_set;
}

Task<> Event::wait() {
    while (!set_) {
        Waiter waiter(co_await asio::this_coro::executor, waiters_);
        co_await park(waiter);
    }
    set_ = false;
}

}  // namespace pgkeel
