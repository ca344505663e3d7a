#include "async/event.hpp"

#include "async/spawn.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

namespace pgkeel {
namespace {

using namespace std::chrono_literals;

Task<> count_wakes(Event& event, Clock& clock, int& wakes) {
    while (co_await event.wait(clock, clock.now() + 200ms)) ++wakes;
    wakes = -wakes;
}

TEST(event, a_wake_up_before_the_wait_is_not_lost_and_is_taken_once) {
    test::EventLoop loop;
    Event event;
    event.set();
    EXPECT_TRUE(loop.run(event.wait(loop.clock, loop.clock.now() + 1s)));
    EXPECT_FALSE(event.is_set());
    const Instant start = loop.clock.now();
    EXPECT_FALSE(loop.run(event.wait(loop.clock, start + 20ms)));
    EXPECT_GE(loop.clock.now() - start, 20ms);
}

TEST(event, a_waiter_without_an_end_is_woken) {
    test::EventLoop loop;
    Event event;
    const auto alarm = loop.clock.call_at(loop.clock.now() + 10ms, [&event] { event.set(); });
    loop.run(event.wait());
    EXPECT_FALSE(event.is_set());
}

TEST(event, a_wait_until_never_waits) {
    test::EventLoop loop;
    Event event;
    const Instant start = loop.clock.now();
    const auto alarm = loop.clock.call_at(start + 30ms, [&event] { event.set(); });
    EXPECT_TRUE(loop.run(event.wait(loop.clock, Instant::max())));
    EXPECT_GE(loop.clock.now() - start, 30ms);
}

TEST(event, each_setting_wakes_a_waiter_that_comes_back) {
    test::EventLoop loop;
    Event event;
    int wakes = 0;
    spawn(loop.context.get_executor(), "a waiter", count_wakes(event, loop.clock, wakes));
    for (int i = 1; i <= 3; ++i) {
        event.set();
        EXPECT_TRUE(loop.until([&] { return wakes == i; }, 1s));
    }
    EXPECT_TRUE(loop.until([&] { return wakes == -3; }, 2s)) << "nobody set it, so its wait ends";
}

TEST(all_of, waits_for_the_last) {
    test::EventLoop loop;
    std::vector<Task<>> tasks;
    tasks.push_back(loop.clock.sleep_for(40ms));
    tasks.push_back(loop.clock.sleep_for(1ms));
    const Instant start = loop.clock.now();
    loop.run(all_of(std::move(tasks)));
    EXPECT_GE(loop.clock.now() - start, 40ms);
    loop.run(all_of({}));
}

}  // namespace
}  // namespace pgkeel
