#include "async/clock.hpp"

#include "async/event.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

namespace pgkeel {
namespace {

using namespace std::chrono_literals;

TEST(clock, a_call_comes_at_its_time_and_once) {
    test::EventLoop loop;
    int calls = 0;
    const Instant start = loop.clock.now();
    const auto alarm = loop.clock.call_at(start + 30ms, [&] { ++calls; });
    EXPECT_TRUE(loop.until([&] { return calls != 0; }, 2s));
    EXPECT_GE(loop.clock.now() - start, 30ms);
    EXPECT_FALSE(loop.until([&] { return calls > 1; }, 50ms));
}

TEST(clock, a_call_for_a_time_that_is_over_comes_at_once_but_not_before_its_maker_has_the_handle) {
    test::EventLoop loop;
    bool called = false;
    const auto alarm = loop.clock.call_at(loop.clock.now() - 1h, [&] { called = true; });
    EXPECT_FALSE(called);
    EXPECT_TRUE(loop.until([&] { return called; }, 2s));
}

TEST(clock, a_handle_that_is_dropped_takes_the_call_with_it) {
    test::EventLoop loop;
    bool called = false;
    auto alarm = loop.clock.call_at(loop.clock.now() + 10ms, [&] { called = true; });
    alarm.reset();
    EXPECT_FALSE(loop.until([&] { return called; }, 60ms));
}

TEST(clock, never_does_not_come) {
    test::EventLoop loop;
    bool called = false;
    const auto alarm = loop.clock.call_at(Instant::max(), [&] { called = true; });
    EXPECT_FALSE(loop.until([&] { return called; }, 60ms));
}

TEST(clock, sleep_ends_when_it_should) {
    test::EventLoop loop;
    const Instant start = loop.clock.now();
    loop.run(loop.clock.sleep_for(20ms));
    EXPECT_GE(loop.clock.now() - start, 20ms);
    loop.run(loop.clock.sleep_until(start));
}

}  // namespace
}  // namespace pgkeel
