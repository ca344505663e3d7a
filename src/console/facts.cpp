#include "console/facts.hpp"

namespace pgkeel::console {
namespace {

constexpr std::uint64_t Counters::* all_counters[] = {
    &Counters::server_assignments, &Counters::transactions,        &Counters::queries,       &Counters::bytes_received,
    &Counters::bytes_sent,         &Counters::transaction_time_us, &Counters::query_time_us, &Counters::wait_time_us,
    &Counters::client_parses,      &Counters::server_parses,       &Counters::binds,         &Counters::client_logins,
};

/// Zero for a counter that began anew.
std::uint64_t growth(std::uint64_t before, std::uint64_t now) {
    return now > before ? now - before : 0;
}

std::uint64_t share(std::uint64_t sum, std::uint64_t count) {
    return count == 0 ? 0 : sum / count;
}

}  // namespace

Counters operator+(const Counters& a, const Counters& b) {
    Counters sum = a;
    for (const auto counter : all_counters) sum.*counter += b.*counter;
    return sum;
}

Counters averages(const Counters& before, const Counters& now, Duration between) {
    Counters average;
    if (between <= Duration::zero()) return average;
    Counters grown;
    for (const auto counter : all_counters) {
        grown.*counter = growth(before.*counter, now.*counter);
        average.*counter = static_cast<std::uint64_t>(static_cast<double>(grown.*counter) / seconds(between));
    }
    average.transaction_time_us = share(grown.transaction_time_us, grown.transactions);
    average.query_time_us = share(grown.query_time_us, grown.queries);
    average.wait_time_us = share(grown.wait_time_us, grown.server_assignments);
    return average;
}

}  // namespace pgkeel::console
