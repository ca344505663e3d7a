#include "engine/timers.hpp"

#include "wires.hpp"

#include <random>

namespace pgkeel::test {
namespace {

using engine::Timers;

TEST(timers, run_in_order_of_time_and_then_of_age) {
    Timers timers;
    const Instant start{};
    std::string order;
    timers.add(start + 2ms, [&] { order += 'c'; });
    timers.add(start + 1ms, [&] { order += 'a'; });
    timers.add(start + 1ms, [&] { order += 'b'; });
    timers.add(start + 9ms, [&] { order += 'z'; });
    EXPECT_EQ(timers.next(), start + 1ms);
    timers.run_due(start + 2ms);
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(timers.next(), start + 9ms);
}

TEST(timers, what_a_job_adds_waits_for_the_next_call) {
    Timers timers;
    const Instant now{};
    int runs = 0;
    std::function<void()> again = [&] {
        ++runs;
        timers.add(now, again);
    };
    timers.add(now, again);
    timers.run_due(now);
    EXPECT_EQ(runs, 1);
    timers.run_due(now);
    EXPECT_EQ(runs, 2);
}

TEST(timers, a_number_that_has_run_cancels_nothing_that_came_later) {
    Timers timers;
    const Instant now{};
    int runs = 0;
    const auto first = timers.add(now, [&] { ++runs; });
    timers.run_due(now);
    const auto second = timers.add(now, [&] { ++runs; });
    EXPECT_NE(first, second);
    timers.cancel(first);
    timers.cancel(0);
    timers.run_due(now);
    EXPECT_EQ(runs, 2);
}

TEST(timers, a_job_may_cancel_another_that_is_due) {
    Timers timers;
    const Instant now{};
    bool ran = false;
    std::uint64_t victim = 0;
    timers.add(now, [&] { timers.cancel(victim); });
    victim = timers.add(now, [&] { ran = true; });
    timers.run_due(now);
    EXPECT_FALSE(ran);
    EXPECT_EQ(timers.size(), 0u);
}

TEST(timers, behave_like_a_sorted_list_of_a_hundred_thousand) {
    Timers timers;
    std::mt19937 random(7);
    struct Expected {
        std::int64_t when;
        int number;
        auto operator<=>(const Expected&) const = default;
    };
    std::vector<Expected> expected;
    std::vector<std::pair<std::uint64_t, Expected>> made;
    std::vector<int> ran;
    for (int i = 0; i < 100'000; ++i) {
        const Expected one{static_cast<std::int64_t>(random() % 50'000), i};
        made.emplace_back(timers.add(Instant{} + Duration(one.when), [&ran, i] { ran.push_back(i); }), one);
    }
    for (const auto& [timer, one] : made) random() % 2 == 0 ? timers.cancel(timer) : expected.push_back(one);
    EXPECT_EQ(timers.size(), expected.size());
    std::ranges::sort(expected);
    for (std::int64_t now = 0; now <= 50'000; now += 1000) timers.run_due(Instant{} + Duration(now));
    ASSERT_EQ(ran.size(), expected.size());
    for (std::size_t i = 0; i < ran.size(); ++i) ASSERT_EQ(ran[i], expected[i].number) << i;
    EXPECT_EQ(timers.next(), std::nullopt);
}

class timers_of_a_loop : public OnEachEngine {};
ON_EACH_ENGINE(timers_of_a_loop);

TEST_P(timers_of_a_loop, timers_come_not_before_their_time_and_hardly_after) {
    const auto loop = make_loop();
    const Instant start = Boottime::now();
    Instant fired{};
    loop->after(20ms, [&] { fired = Boottime::now(); });
    ASSERT_TRUE(run_until(*loop, [&] { return fired != Instant{}; }));
    EXPECT_GE(fired - start, 20ms);
    EXPECT_LT(fired - start, 120ms) << "a hundred milliseconds late on an idle loop";
}

}  // namespace
}  // namespace pgkeel::test
