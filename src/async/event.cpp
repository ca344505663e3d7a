#include "async/event.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

namespace pgkeel {

/// A timer that never ends by itself is Asio's way to suspend a coroutine until somebody cancels the timer.
struct Event::Waiter {
    explicit Waiter(const asio::any_io_executor& executor, std::list<Waiter*>& all)
        : timer(executor, asio::steady_timer::time_point::max()), list(all), place(all.insert(all.end(), this)) {}
    ~Waiter() { list.erase(place); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    void wake() {
        woken = true;
        timer.cancel();
    }

    asio::steady_timer timer;
    bool woken = false;
    std::list<Waiter*>& list;
    std::list<Waiter*>::iterator place;
};

void Event::set() {
    set_ = true;
    for (Waiter* waiter : waiters_) waiter->wake();
}

Task<> Event::park(Waiter& waiter) {
    if (!waiter.woken) co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
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
