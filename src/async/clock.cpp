#include "async/clock.hpp"

#include "async/event.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace pgkeel {

Task<> Clock::sleep_until(Instant when) {
    Event never;
    while (now() < when) co_await never.wait(*this, when);
}

Clock::Alarm BoottimeClock::call_at(Instant when, std::function<void()> action) {
    struct Timer {
        explicit Timer(const asio::any_io_executor& executor) : timer(executor) {}
        asio::steady_timer timer;
    };
    auto owner = std::make_shared<Timer>(executor_);
    // The timer counts nanoseconds: Instant::max(), which stands for "never", would overflow into the past.
    constexpr Duration longest = std::chrono::hours(24 * 365);
    // A suspend moves CLOCK_BOOTTIME and not this timer, which then fires late: whoever waits looks at now() again.
    owner->timer.expires_after(std::clamp(when - now(), Duration::zero(), longest));
    owner->timer.async_wait([weak = std::weak_ptr(owner), action = std::move(action)](boost::system::error_code error) {
        if (!error && weak.lock()) action();
    });
    return owner;
}

}  // namespace pgkeel
