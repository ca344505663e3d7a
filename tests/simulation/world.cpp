#include "simulation/world.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pgkeel::simulation {

/// Whether a process that stands still goes on: it may do so before its time.
constexpr Duration look_again = std::chrono::milliseconds(100);

std::uint64_t Random::next() {
    // splitmix64
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

std::shared_ptr<void> World::at(Instant when, std::function<void()> action) {
    auto handle = std::make_shared<char>();
    events_.emplace(std::pair(std::max(when, now_), made_++), Entry{handle, true, std::move(action)});
    return handle;
}

void World::surely_at(Instant when, std::function<void()> action) {
    events_.emplace(std::pair(std::max(when, now_), made_++), Entry{{}, false, std::move(action)});
}

void World::run_until(Instant end) {
    while (!events_.empty() && events_.begin()->first.first <= end) {
        auto first = events_.begin();
        now_ = first->first.first;
        Entry entry = std::move(first->second);
        events_.erase(first);
        if (entry.owned && entry.owner.expired()) continue;
        entry.action();
        if (!after_each()) return;
    }
    now_ = std::max(now_, end);
}

void World::note(std::string line) {
    journal_.push_back(fmt::format("{:9.3f}  {}", seconds(now_ - Instant(std::chrono::hours(1))), line));
}

Instant HostClock::now() const {
    const auto elapsed = static_cast<double>((world_.now() - Instant(std::chrono::hours(1))).count());
    return Instant(std::chrono::hours(2)) + Duration(static_cast<Duration::rep>(std::floor(elapsed * rate_)));
}

Instant HostClock::true_time(Instant when) const {
    const auto elapsed = static_cast<double>((when - Instant(std::chrono::hours(2))).count());
    return Instant(std::chrono::hours(1)) + Duration(static_cast<Duration::rep>(std::ceil(elapsed / rate_)));
}

Clock::Alarm HostClock::call_at(Instant when, std::function<void()> action) {
    const auto wait =
        std::max(Duration::zero(), when == Instant::max() ? Duration(std::chrono::hours(1000)) : when - now());
    auto pending = std::make_shared<Pending>(std::move(action));
    const Duration real(static_cast<Duration::rep>(std::ceil(static_cast<double>(wait.count()) / rate_)));
    pending->event = world_.at(world_.now() + real, [this, weak = std::weak_ptr(pending)] {
        if (const auto alive = weak.lock()) fire(alive);
    });
    return pending;
}

void HostClock::fire(const std::shared_ptr<Pending>& pending) {
    if (!stalled()) {
        pending->action();
        return;
    }
    pending->event =
        world_.at(std::min(stalled_until_, world_.now() + look_again), [this, weak = std::weak_ptr(pending)] {
            if (const auto alive = weak.lock()) fire(alive);
        });
}

}  // namespace pgkeel::simulation
