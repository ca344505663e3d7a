#include "engine/mailbox.hpp"

#include <cstdint>
#include <utility>

#include <unistd.h>

namespace pgkeel::engine {

Mailbox::~Mailbox() {
    ::close(event_);
}

void Mailbox::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_, &one, sizeof one);  // fails only when it is set already
}

void Mailbox::woken() {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(event_, &count, sizeof count);
}

void Mailbox::post(Job job) {
    bool was_empty;
    {
        const std::lock_guard lock(mutex_);
        was_empty = jobs_.empty();
        jobs_.push_back(std::move(job));
        filled_.store(true, std::memory_order_release);
    }
    if (was_empty && owner_.load(std::memory_order_relaxed) != std::this_thread::get_id()) wake();
}

void Mailbox::run() {
    if (empty()) return;
    {
        const std::lock_guard lock(mutex_);
        std::swap(running_, jobs_);
        filled_.store(false, std::memory_order_release);
    }
    for (Job& job : running_) {
        Job mine = std::move(job);  // so that what it holds goes before the next one runs
        mine();
    }
    running_.clear();
}

void Mailbox::expect_answer() {
    const std::lock_guard lock(mutex_);
    ++expected_;
}

void Mailbox::post_answer(Job job) {
    // Everything under the lock: whoever waits for the answers destroys this mailbox next.
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    filled_.store(true, std::memory_order_release);
    wake();
    --expected_;
    answered_.notify_all();
}

void Mailbox::wait_for_answers() {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return expected_ == 0; });
}

}  // namespace pgkeel::engine
