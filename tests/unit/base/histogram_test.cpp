#include "base/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace pgkeel {
namespace {

/// As many short values as long ones, whatever their magnitude.
std::vector<std::uint64_t> random_values(std::uint64_t seed, std::size_t count) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> exponent(0, 9);
    std::vector<std::uint64_t> values(count);
    for (auto& value : values) value = static_cast<std::uint64_t>(std::pow(10, exponent(random)));
    return values;
}

TEST(histogram, tells_a_value_to_two_significant_digits) {
    std::vector<std::uint64_t> values = random_values(1, 20'000);
    for (std::uint64_t power = 1; power < Histogram::longest_us; power *= 2)
        values.insert(values.end(), {power - 1, power, power + 1});
    for (const std::uint64_t value : values) {
        Histogram one;
        one.add(value);
        one.add(Histogram::longest_us);  // or the largest value would be known exactly
        const auto told = static_cast<double>(one.percentile(50));
        EXPECT_LE(std::abs(told - static_cast<double>(value)), static_cast<double>(value) / 128) << value;
    }
}

TEST(histogram, percentiles_are_those_of_the_sorted_values) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::vector<std::uint64_t> values = random_values(seed, 1 + seed * 100);
        Histogram histogram;
        for (const std::uint64_t value : values) histogram.add(value);
        std::ranges::sort(values);
        for (const double percent : {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
            const double rank = std::max(1.0, std::ceil(percent / 100 * static_cast<double>(values.size())));
            const auto exact = static_cast<double>(values[static_cast<std::size_t>(rank) - 1]);
            EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, exact / 128)
                << "seed " << seed << " p" << percent;
        }
    }
}

TEST(histogram, counts_up_to_a_bound_but_for_one_bucket) {
    const std::vector<std::uint64_t> values = random_values(7, 10'000);
    Histogram histogram;
    for (const std::uint64_t value : values) histogram.add(value);
    const auto exact = [&](double bound) {
        return static_cast<std::uint64_t>(
            std::ranges::count_if(values, [&](auto v) { return static_cast<double>(v) <= bound; }));
    };
    std::uint64_t before = 0;
    for (std::uint64_t bound = 1; bound <= Histogram::longest_us; bound *= 3) {
        const std::uint64_t counted = histogram.count_up_to(bound);
        EXPECT_LE(counted, exact(static_cast<double>(bound)));
        EXPECT_GE(counted, exact(static_cast<double>(bound) * 63 / 64 - 1));
        EXPECT_GE(counted, before);
        if (bound < 128) EXPECT_EQ(counted, exact(static_cast<double>(bound)));
        before = counted;
    }
    EXPECT_EQ(histogram.count_up_to(Histogram::longest_us), values.size());
}

TEST(histogram, merged_is_as_if_one_had_seen_everything) {
    Histogram all;
    Histogram parts[3];
    for (const std::uint64_t value : random_values(3, 3'000)) {
        all.add(value);
        parts[value % 3].add(value);
    }
    Histogram merged;
    for (const Histogram& part : parts) merged.merge(part);
    EXPECT_EQ(merged.count(), all.count());
    EXPECT_EQ(merged.sum_us(), all.sum_us());
    EXPECT_EQ(merged.max_us(), all.max_us());
    for (int percent = 0; percent <= 100; ++percent) EXPECT_EQ(merged.percentile(percent), all.percentile(percent));
}

TEST(histogram, knows_nothing_and_the_endless) {
    Histogram histogram;
    EXPECT_EQ(histogram.percentile(99), 0U);
    EXPECT_EQ(histogram.count_up_to(1000), 0U);
    histogram.add(0);
    EXPECT_EQ(histogram.percentile(100), 0U);
    histogram.add(UINT64_MAX);
    EXPECT_EQ(histogram.max_us(), Histogram::longest_us);
    EXPECT_EQ(histogram.count_up_to(Histogram::longest_us - 1), 1U);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(100)), 1e9, 1e9 / 128);
    EXPECT_LT(sizeof(Histogram), 13'000U);
}

}  // namespace
}  // namespace pgkeel
