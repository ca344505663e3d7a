#include "wires.hpp"

#include <atomic>

namespace pgkeel::test {
namespace {

class loop : public OnEachEngine {};
ON_EACH_ENGINE(loop);

TEST_P(loop, stop_before_run_ends_it_after_one_turn) {
    const auto loop = make_loop();
    loop->stop();
    loop->run();
    EXPECT_LE(loop->counters().turns, 1u);
}

TEST_P(loop, jobs_of_many_threads_run_on_its_own_in_the_order_of_each) {
    const auto loop = make_loop();
    constexpr int threads = 4, jobs = 5000;
    std::vector<int> last(threads, -1);
    int ran = 0;
    const auto here = std::this_thread::get_id();
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t)
        posters.emplace_back([&, t] {
            for (int i = 0; i < jobs; ++i)
                loop->post([&, t, i] {
                    EXPECT_EQ(std::this_thread::get_id(), here);
                    EXPECT_EQ(last[static_cast<std::size_t>(t)], i - 1);
                    last[static_cast<std::size_t>(t)] = i;
                    if (++ran == threads * jobs) loop->stop();
                });
        });
    loop->after(10s, [&] { loop->stop(); });
    loop->run();
    EXPECT_EQ(ran, threads * jobs);
    for (std::thread& poster : posters) poster.join();
}

TEST_P(loop, a_job_posted_by_a_job_runs_in_the_next_turn) {
    const auto loop = make_loop();
    std::uint64_t first = 0, second = 0;
    loop->post([&] {
        first = loop->counters().turns;
        loop->post([&] {
            second = loop->counters().turns;
            loop->stop();
        });
    });
    loop->run();
    EXPECT_EQ(second, first + 1);
}

TEST_P(loop, offloaded_work_runs_elsewhere_and_is_answered_here) {
    const auto loop = make_loop();
    const auto here = std::this_thread::get_id();
    std::thread::id worker;
    bool done = false;
    loop->offload([&] { worker = std::this_thread::get_id(); },
                  [&] {
                      EXPECT_EQ(std::this_thread::get_id(), here);
                      EXPECT_NE(worker, here);
                      EXPECT_NE(worker, std::thread::id());
                      done = true;
                  });
    ASSERT_TRUE(run_until(*loop, [&] { return done; }));
}

TEST_P(loop, timers_go_on_while_a_helper_works) {
    const auto loop = make_loop();
    bool done = false;
    int ticks = 0;
    std::function<void()> tick = [&] {
        ++ticks;
        if (!done) loop->after(1ms, tick);
    };
    loop->after(1ms, tick);
    loop->offload([] { std::this_thread::sleep_for(100ms); }, [&] { done = true; });
    ASSERT_TRUE(run_until(*loop, [&] { return done; }));
    EXPECT_GT(ticks, 10);
}

TEST_P(loop, going_away_waits_for_its_helpers) {
    std::atomic<bool> finished = false;
    {
        const auto loop = make_loop();
        loop->offload(
            [&] {
                std::this_thread::sleep_for(50ms);
                finished = true;
            },
            [] { FAIL() << "nobody runs the loop"; });
    }
    EXPECT_TRUE(finished);
}

TEST(resolve_host, gives_addresses_or_says_that_there_are_none) {
    const auto literal = engine::resolve_host("127.0.0.1");
    ASSERT_TRUE(literal);
    EXPECT_EQ(*literal, std::vector<std::string>{"127.0.0.1"});
    const auto local = engine::resolve_host("localhost");
    ASSERT_TRUE(local);
    EXPECT_FALSE(local->empty());
    EXPECT_FALSE(engine::resolve_host("no such host"));
}

}  // namespace
}  // namespace pgkeel::test
