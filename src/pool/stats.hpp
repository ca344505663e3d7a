#pragma once
#include "base/histogram.hpp"

#include <cstdint>
#include <memory>

namespace pgkeel::pool {

/// What one thread has done for one pool; times in microseconds.
struct Stats {
    std::uint64_t assignments = 0, transactions = 0, queries = 0;
    std::uint64_t received = 0, sent = 0;  ///< bytes, from and to clients
    std::uint64_t transaction_time = 0, query_time = 0, wait_time = 0;
    std::uint64_t client_parses = 0, server_parses = 0, binds = 0, logins = 0;
    struct Latencies {
        Histogram queries, transactions, waits;
    };
    std::unique_ptr<Latencies> latencies;  ///< apart, because it is large; never null in Worker::stats()
};

}  // namespace pgkeel::pool
