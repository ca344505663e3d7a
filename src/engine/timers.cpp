#include "engine/timers.hpp"

#include <utility>

namespace pgkeel::engine {
namespace {

/// Four children a node: half the depth of two, and siblings share a cache line or two.
constexpr std::size_t children = 4;

}  // namespace

std::uint64_t Timers::add(Instant when, Job job) {
    std::uint32_t slot;
    if (free_.empty()) {
        slot = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        slot = free_.back();
        free_.pop_back();
    }
    slots_[slot].job = std::move(job);
    const Entry entry{when, ages_++, slot};
    heap_.push_back(entry);
    rise(heap_.size() - 1, entry);
    return std::uint64_t{slots_[slot].generation} << 32 | slot;
}

void Timers::cancel(std::uint64_t timer) {
    const auto slot = static_cast<std::uint32_t>(timer);
    if (slot >= slots_.size() || slots_[slot].generation != timer >> 32 || !slots_[slot].job) return;
    // Dropped after the books are in order: the job's destructor may cancel others.
    const Job dropped = take(slots_[slot].place);
}

void Timers::run_due(Instant now) {
    const std::uint64_t first_new = ages_;
    while (!heap_.empty() && heap_.front().when <= now && heap_.front().age < first_new) {
        Job job = take(0);
        job();
    }
}

std::optional<Instant> Timers::next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().when;
}

Timers::Job Timers::take(std::size_t place) {
    const std::uint32_t slot = heap_[place].slot;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (place < heap_.size()) {
        if (place > 0 && last < heap_[(place - 1) / children])
            rise(place, last);
        else
            sink(place, last);
    }
    Slot& taken = slots_[slot];
    Job job = std::exchange(taken.job, nullptr);
    if (++taken.generation == 0) taken.generation = 1;
    free_.push_back(slot);
    return job;
}

void Timers::put(std::size_t place, Entry entry) {
    heap_[place] = entry;
    slots_[entry.slot].place = place;
}

void Timers::rise(std::size_t place, Entry entry) {
    while (place > 0) {
        const std::size_t parent = (place - 1) / children;
        if (!(entry < heap_[parent])) break;
        put(place, heap_[parent]);
        place = parent;
    }
    put(place, entry);
}

void Timers::sink(std::size_t place, Entry entry) {
    for (;;) {
        const std::size_t first = place * children + 1;
        if (first >= heap_.size()) break;
        std::size_t least = first;
        for (std::size_t child = first + 1; child < heap_.size() && child < first + children; ++child)
            if (heap_[child] < heap_[least]) least = child;
        if (!(heap_[least] < entry)) break;
        put(place, heap_[least]);
        place = least;
    }
    put(place, entry);
}

}  // namespace pgkeel::engine
