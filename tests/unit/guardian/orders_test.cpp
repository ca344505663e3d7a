#include "guardian/orders.hpp"

#include <gtest/gtest.h>

namespace pgkeel::guardian {
namespace {

using namespace std::chrono_literals;

const Instant now{std::chrono::hours(1)};

Orders armed_until(Instant deadline) {
    return {.state = State::armed, .deadline = deadline};
}

TEST(guardian_verdict, nothing_happens_before_the_deadline) {
    const Verdict next = verdict(armed_until(now + 3s), true, now);
    EXPECT_EQ(next.act, Act::wait);
    EXPECT_GT(next.look_again, now);
    EXPECT_LE(next.look_again, now + 100ms) << "a deadline may come closer when ttl is made shorter";
}

TEST(guardian_verdict, it_wakes_at_the_deadline_and_not_a_tick_later) {
    EXPECT_EQ(verdict(armed_until(now + 7ms), true, now).look_again, now + 7ms);
}

TEST(guardian_verdict, the_deadline_is_kept_whether_the_agent_lives_or_not) {
    for (const bool agent_lives : {true, false}) {
        EXPECT_EQ(verdict(armed_until(now + 1us), agent_lives, now).act, Act::wait);
        EXPECT_EQ(verdict(armed_until(now), agent_lives, now).act, Act::fence);
        EXPECT_EQ(verdict(armed_until(now - 20s), agent_lives, now).act, Act::fence);
    }
}

TEST(guardian_verdict, the_death_of_the_agent_alone_is_no_reason) {
    EXPECT_EQ(verdict(armed_until(now + 3s), false, now).act, Act::wait);
}

TEST(guardian_verdict, a_server_of_an_unfinished_bootstrap_ends_with_its_agent) {
    Orders orders = armed_until(Instant::max());
    orders.ends_with_agent = true;
    EXPECT_EQ(verdict(orders, true, now).act, Act::wait);
    EXPECT_EQ(verdict(orders, false, now).act, Act::fence);
}

TEST(guardian_verdict, a_standby_and_a_paused_cluster_are_left_alone_whatever_the_deadline_was) {
    for (const State state : {State::disarmed, State::paused}) {
        const Orders orders{.state = state, .deadline = now - 1h};
        EXPECT_EQ(verdict(orders, true, now).act, Act::wait);
        EXPECT_EQ(verdict(orders, false, now).act, Act::leave) << "nobody needs it any more";
    }
}

}  // namespace
}  // namespace pgkeel::guardian
