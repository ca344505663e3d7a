#include "engine/helpers.hpp"

#include "base/blocked_signals.hpp"

#include <algorithm>
#include <utility>

namespace pgkeel::engine {
namespace {

/// Two at least, so that a name service that does not answer leaves one for handshakes.
std::size_t threads_max() {
    return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 2, 8);
}

}  // namespace

std::shared_ptr<Helpers> Helpers::shared() {
    static std::mutex mutex;
    static std::weak_ptr<Helpers> common;
    const std::lock_guard lock(mutex);
    std::shared_ptr<Helpers> helpers = common.lock();
    if (!helpers) common = helpers = std::make_shared<Helpers>();
    return helpers;
}

Helpers::~Helpers() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    filled_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Helpers::run(Job job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
        if (jobs_.size() > idle_ && threads_.size() < threads_max()) {
            const BlockedSignals quiet;
            threads_.emplace_back([this] { work(); });
        }
    }
    filled_.notify_one();
}

void Helpers::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        filled_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
        --idle_;
        if (jobs_.empty()) return;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        job = nullptr;
        lock.lock();
    }
}

}  // namespace pgkeel::engine
