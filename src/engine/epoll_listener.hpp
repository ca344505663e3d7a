#pragma once
#include "engine/epoll_wire.hpp"

#include <cstdint>
#include <functional>

namespace pgkeel::engine {

/// Accepts the clients of one listening socket.
class EpollListener final : public EventTarget {
  public:
    EpollListener(EpollLoop& loop, int socket, std::function<void(int)> accepted);
    void on_events(std::uint32_t events) override;
    /// No more calls of `accepted`.
    void stop();

  private:
    void watch();
    void pause();

    EpollLoop& loop_;
    int socket_;
    bool stopped_ = false;
    int burst_ = 1;                ///< so many clients at most are taken in this turn
    std::uint64_t last_turn_ = 0;  ///< of the loop, that somebody came in
    std::uint64_t resume_timer_ = 0;
    std::function<void(int)> accepted_;
};

}  // namespace pgkeel::engine
