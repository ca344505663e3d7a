#pragma once
#include "base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace pgkeel::engine {

/// Jobs for later, of one thread. Making and cancelling one costs a logarithm of how many there are, and a cancelled
/// one leaves nothing behind: every query of every client may have its timeout.
class Timers {
  public:
    using Job = std::move_only_function<void()>;

    /// A number that is never 0 and is not given again soon.
    std::uint64_t add(Instant when, Job job);
    /// Nothing happens when it has run or was cancelled already.
    void cancel(std::uint64_t timer);
    /// Runs what is due, in order of time, then of age. What a job adds waits for the next call.
    void run_due(Instant now);
    std::optional<Instant> next() const;
    std::size_t size() const { return heap_.size(); }

  private:
    struct Slot {
        Job job;
        std::uint32_t generation = 1;  ///< tells a timer from an earlier one of the slot
        std::size_t place = 0;         ///< in the heap
    };
    /// Ordered by what is compared, so that a comparison touches the heap alone.
    struct Entry {
        Instant when;
        std::uint64_t age;
        std::uint32_t slot;
        bool operator<(const Entry& other) const { return when != other.when ? when < other.when : age < other.age; }
    };

    void put(std::size_t place, Entry entry);
    void rise(std::size_t place, Entry entry);
    void sink(std::size_t place, Entry entry);
    Job take(std::size_t place);

    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::vector<Entry> heap_;
    std::uint64_t ages_ = 0;
};

}  // namespace pgkeel::engine
