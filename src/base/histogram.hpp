#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace pgkeel {

/// How long things took, from 1 µs to 1000 s, to two significant digits: what is told of a value differs from it by
/// less than 1 %. 13 kB, whatever is added; adding is a shift and three additions. Not for several threads: each has
/// its own, and they are merged for whoever asks.
///
/// Up to 127 µs every number has its own bucket. From there on each doubling has 64 of the same width, so a bucket is
/// at most 1/64 of its values wide, and its middle at most 1/128 away from any of them.
class Histogram {
  public:
    static constexpr std::uint64_t longest_us = 1'000'000'000;  ///< what is longer counts as this

    void add(std::uint64_t microseconds) {
        const std::uint64_t value = microseconds < longest_us ? microseconds : longest_us;
        ++buckets_[bucket_of(value)];
        ++count_;
        sum_us_ += value;
        if (value > max_us_) max_us_ = value;
    }
    void merge(const Histogram& other);

    std::uint64_t count() const { return count_; }
    std::uint64_t sum_us() const { return sum_us_; }
    std::uint64_t max_us() const { return max_us_; }
    /// The value that `percent` of all do not exceed, in µs; 0 when nothing was added.
    std::uint64_t percentile(double percent) const;
    /// How many were at most this long. Exact where a bucket ends, else without those of the bucket that it falls into.
    std::uint64_t count_up_to(std::uint64_t microseconds) const;

  private:
    static constexpr std::size_t per_doubling = 64;
    static constexpr int linear_bits = 7;  ///< 2⁷ buckets of width 1

    static constexpr std::size_t bucket_of(std::uint64_t value) {
        const int shift = 64 - linear_bits - __builtin_clzll(value | (1U << (linear_bits - 1)));
        return static_cast<std::size_t>(shift) * per_doubling + static_cast<std::size_t>(value >> shift);
    }
    static constexpr std::uint64_t first_of(std::size_t bucket);
    /// One more than the bucket of longest_us, which has 30 bits and so is shifted by 23.
    static constexpr std::size_t buckets = 23 * per_doubling + (longest_us >> 23) + 1;

    std::array<std::uint64_t, buckets> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_us_ = 0;
    std::uint64_t max_us_ = 0;
};

}  // namespace pgkeel
