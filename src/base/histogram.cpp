#include "base/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace pgkeel {

constexpr std::uint64_t Histogram::first_of(std::size_t bucket) {
    if (bucket < 2 * per_doubling) return bucket;
    const std::size_t shift = bucket / per_doubling - 1;
    return (bucket - shift * per_doubling) << shift;
}

void Histogram::merge(const Histogram& other) {
    for (std::size_t i = 0; i < buckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_us_ += other.sum_us_;
    max_us_ = std::max(max_us_, other.max_us_);
}

std::uint64_t Histogram::percentile(double percent) const {
    if (count_ == 0) return 0;
    const double wanted = std::ceil(std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_));
    const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        seen += buckets_[i];
        if (seen < rank) continue;
        const std::uint64_t middle = (first_of(i) + first_of(i + 1) - 1) / 2;
        return std::min(middle, max_us_);
    }
    return max_us_;
}

std::uint64_t Histogram::count_up_to(std::uint64_t microseconds) const {
    if (microseconds >= longest_us) return count_;
    std::uint64_t counted = 0;
    for (std::size_t i = 0; i < buckets && first_of(i + 1) - 1 <= microseconds; ++i) counted += buckets_[i];
    return counted;
}

}  // namespace pgkeel
