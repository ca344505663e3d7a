#pragma once
#include "proxy/handover_channel.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace pgkeel::proxy {

/// Sends frames over a channel on a thread of its own, in their order, so that whoever has something to say does not
/// wait for the other process.
class HandoverOutbox {
  public:
    explicit HandoverOutbox(HandoverChannel& channel);
    ~HandoverOutbox();  ///< what is not sent yet is dropped
    HandoverOutbox(const HandoverOutbox&) = delete;
    HandoverOutbox& operator=(const HandoverOutbox&) = delete;

    void send(HandoverFrame frame);
    /// All of it is with the kernel.
    bool is_empty();

  private:
    void run();

    HandoverChannel& channel_;
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<HandoverFrame> frames_;
    bool ending_ = false, sending_ = false;
    std::thread thread_;
};

}  // namespace pgkeel::proxy
