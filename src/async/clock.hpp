#pragma once
#include "async/task.hpp"
#include "base/clock.hpp"

#include <functional>
#include <memory>

namespace pgkeel {

/// Time as the agent sees it. The real one is BoottimeClock; the simulation's moves by hand.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
    virtual WallTime wall_now() const = 0;

    /// Calls `action` once at `when`, on the event loop, unless the returned handle has been dropped before.
    using Alarm = std::shared_ptr<void>;
    [[nodiscard]] virtual Alarm call_at(Instant when, std::function<void()> action) = 0;

    Task<> sleep_until(Instant when);
    Task<> sleep_for(Duration time) { return sleep_until(now() + time); }
};

class BoottimeClock final : public Clock {
  public:
    explicit BoottimeClock(asio::any_io_executor executor) : executor_(std::move(executor)) {}
    Instant now() const override { return Boottime::now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }
    Alarm call_at(Instant when, std::function<void()> action) override;

  private:
    asio::any_io_executor executor_;
};

}  // namespace pgkeel
