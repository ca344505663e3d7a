#pragma once
#include "async/clock.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel::simulation {

/// Everything that is drawn comes from here, so that one seed gives one run.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
    std::uint64_t next();
    /// [0, bound)
    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
    bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability; }
    Duration between(Duration low, Duration high) {
        return low + Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
    }

  private:
    std::uint64_t state_;
};

/// True time, and what happens at which of its instants. One thread; events of one instant run in the order they were
/// made.
class World {
  public:
    explicit World(std::uint64_t seed) : random(seed) {}
    Random random;

    Instant now() const { return now_; }
    /// Runs `action` at `when`, unless the returned handle has been dropped before.
    [[nodiscard]] std::shared_ptr<void> at(Instant when, std::function<void()> action);
    /// The same without a handle.
    void surely_at(Instant when, std::function<void()> action);

    /// Called after every event: lets coroutines run, then checks. False ends the run.
    std::function<bool()> after_each;
    /// Runs until `end` or until `after_each` says no.
    void run_until(Instant end);

    void note(std::string line);
    const std::vector<std::string>& journal() const { return journal_; }

  private:
    struct Entry {
        std::weak_ptr<void> owner;
        bool owned = false;
        std::function<void()> action;
    };
    std::map<std::pair<Instant, std::uint64_t>, Entry> events_;
    std::uint64_t made_ = 0;
    Instant now_{std::chrono::hours(1)};
    std::vector<std::string> journal_;
};

/// A host's own clock: it runs a little fast or slow, as A3 of the timing argument allows.
class HostClock final : public Clock {
  public:
    HostClock(World& world, double rate) : world_(world), rate_(rate) {}
    Instant now() const override;
    WallTime wall_now() const override {
        return WallTime(std::chrono::duration_cast<WallTime::duration>(world_.now().time_since_epoch()));
    }
    Alarm call_at(Instant when, std::function<void()> action) override;
    /// When this clock shows `when`.
    Instant true_time(Instant when) const;

    /// The process that reads this clock is stopped until `end`, true time: its alarms come late.
    void stall_until(Instant end) { stalled_until_ = std::max(stalled_until_, end); }
    void go_on() { stalled_until_ = {}; }
    bool stalled() const { return stalled_since(world_.now()); }
    bool stalled_since(Instant when) const { return when < stalled_until_; }

  private:
    struct Pending {
        std::function<void()> action;
        std::shared_ptr<void> event;
    };
    void fire(const std::shared_ptr<Pending>& pending);

    World& world_;
    double rate_;
    Instant stalled_until_{};
};

}  // namespace pgkeel::simulation
