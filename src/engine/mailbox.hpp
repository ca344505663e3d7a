#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pgkeel::engine {

/// Jobs that other threads give to a loop, and the descriptor that wakes it.
class Mailbox {
  public:
    using Job = std::move_only_function<void()>;

    /// \param event  an eventfd; the mailbox closes it
    explicit Mailbox(int event) : event_(event) {}
    ~Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    int descriptor() const { return event_; }
    void post(Job job);
    void wake();
    /// The descriptor was readable.
    void woken();
    bool empty() const { return !filled_.load(std::memory_order_acquire); }
    /// Runs what is there; what is posted meanwhile waits for the next call.
    void run();
    /// Jobs posted by this thread need no wake-up: it looks for them before it sleeps.
    void belongs_to_this_thread() { owner_.store(std::this_thread::get_id(), std::memory_order_relaxed); }
    void belongs_to_nobody() { owner_.store({}, std::memory_order_relaxed); }

    /// Work on helper threads that will be answered here.
    void expect_answer();
    void post_answer(Job job);
    /// Until no helper will touch this mailbox any more.
    void wait_for_answers();

  private:
    int event_;
    std::atomic<std::thread::id> owner_{};
    std::atomic<bool> filled_ = false;
    std::mutex mutex_;
    std::condition_variable answered_;
    std::size_t expected_ = 0;
    std::vector<Job> jobs_;
    std::vector<Job> running_;  ///< of the loop's thread: keeps its capacity
};

}  // namespace pgkeel::engine
