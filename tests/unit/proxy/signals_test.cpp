#include "proxy/signals.hpp"

#include <gtest/gtest.h>

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;

/// Remembers what came, and on which thread.
class Seen {
  public:
    void add(int signal) {
        const std::lock_guard lock(mutex_);
        signals_.push_back(signal);
        thread_ = std::this_thread::get_id();
        changed_.notify_all();
    }
    /// Waits for `count` of them.
    std::vector<int> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 10s, [&] { return signals_.size() >= count; });
        return signals_;
    }
    std::thread::id thread() {
        const std::lock_guard lock(mutex_);
        return thread_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<int> signals_;
    std::thread::id thread_;
};

TEST(signals, each_one_reaches_the_callback_on_a_thread_of_its_own) {
    Signals signals;
    Seen seen;
    signals.on([&seen](int signal) { seen.add(signal); });
    std::vector<int> sent;
    for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) {
        kill(getpid(), signal);
        sent.push_back(signal);
        EXPECT_EQ(seen.wait_for(sent.size()), sent);
    }
    EXPECT_NE(seen.thread(), std::this_thread::get_id());
}

TEST(signals, that_came_before_the_callback_are_delivered_then) {
    Signals signals;
    kill(getpid(), SIGHUP);
    std::this_thread::sleep_for(50ms);
    kill(getpid(), SIGTERM);
    Seen seen;
    signals.on([&seen](int signal) { seen.add(signal); });
    EXPECT_EQ(seen.wait_for(2), (std::vector{SIGHUP, SIGTERM}));
}

TEST(signals, are_blocked_in_threads_that_are_made_later) {
    Signals signals;
    Seen seen;
    signals.on([&seen](int signal) { seen.add(signal); });
    std::atomic<bool> is_blocked = false;
    std::thread([&] {
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        is_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR2) == 1;
    }).join();
    EXPECT_TRUE(is_blocked);
}

TEST(signals, a_replaced_callback_does_not_run_any_more) {
    Signals signals;
    std::atomic<int> running = 0;
    Seen entered;
    signals.on([&](int signal) {
        ++running;
        entered.add(signal);
        std::this_thread::sleep_for(100ms);
        --running;
    });
    kill(getpid(), SIGUSR1);
    ASSERT_EQ(entered.wait_for(1).size(), 1U);
    signals.on({});
    EXPECT_EQ(running, 0) << "on() returned while the callback before was running";
    kill(getpid(), SIGUSR2);
    Seen later;
    signals.on([&later](int signal) { later.add(signal); });
    EXPECT_EQ(later.wait_for(1), std::vector{SIGUSR2});
    EXPECT_EQ(entered.wait_for(1).size(), 1U);
}

TEST(signals, the_callback_may_replace_itself) {
    Signals signals;
    Seen first;
    Seen second;
    signals.on([&](int signal) {
        first.add(signal);
        signals.on([&second](int later) { second.add(later); });
    });
    kill(getpid(), SIGTERM);
    ASSERT_EQ(first.wait_for(1), std::vector{SIGTERM});
    kill(getpid(), SIGTERM);
    EXPECT_EQ(second.wait_for(1), std::vector{SIGTERM});
}

TEST(signals, one_that_comes_too_late_does_not_end_the_process) {
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, nullptr, &before);
    {
        Signals signals;
        kill(getpid(), SIGTERM);
    }
    sigset_t after;
    pthread_sigmask(SIG_BLOCK, nullptr, &after);
    EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

}  // namespace
}  // namespace pgkeel::proxy
