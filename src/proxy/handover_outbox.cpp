#include "proxy/handover_outbox.hpp"

#include "log/log.hpp"

#include <utility>

namespace pgkeel::proxy {
namespace {

/// Who takes nothing for so long is not going to.
constexpr Duration patience = std::chrono::seconds(30);

}  // namespace

HandoverOutbox::HandoverOutbox(HandoverChannel& channel) : channel_(channel), thread_([this] { run(); }) {}

HandoverOutbox::~HandoverOutbox() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    filled_.notify_all();
    thread_.join();
}

void HandoverOutbox::send(HandoverFrame frame) {
    {
        const std::lock_guard lock(mutex_);
        frames_.push_back(std::move(frame));
    }
    filled_.notify_all();
}

bool HandoverOutbox::is_empty() {
    const std::lock_guard lock(mutex_);
    return frames_.empty() && !sending_;
}

void HandoverOutbox::run() {
    for (;;) {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return ending_ || !frames_.empty(); });
        if (ending_) return;
        const HandoverFrame frame = std::move(frames_.front());
        frames_.pop_front();
        sending_ = true;
        lock.unlock();
        if (const auto sent = channel_.send(frame, patience); !sent) {
            log::warning("takeover: {} was not sent: {}", handover::name_of(frame.message), sent.error().line());
            channel_.shut();  // whoever receives sees the end, too
            return;
        }
        lock.lock();
        sending_ = false;
    }
}

}  // namespace pgkeel::proxy
