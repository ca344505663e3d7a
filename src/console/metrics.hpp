#pragma once
#include "base/histogram.hpp"
#include "console/facts.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::console {

/// How long things took for the clients of one database.
struct LatencyFacts {
    std::string database;
    const Histogram* queries = nullptr;
    const Histogram* transactions = nullptr;
    const Histogram* waits = nullptr;  ///< for a server
};

/// Clients of one database that keep their servers, for one reason.
struct PinFacts {
    std::string database, reason;
    std::uint64_t clients = 0;
};

/// Views: valid while the text is made.
struct MetricsFacts {
    std::string_view version;  ///< as SHOW VERSION tells it
    std::span<const PoolFacts> pools;
    std::span<const StatsFacts> stats;
    std::span<const DatabaseFacts> databases;
    ListsFacts lists;
    std::uint64_t client_connections_max = 0;  ///< max_client_conn
    std::uint64_t user_connections_max = 0;    ///< max_user_connections
    std::span<const LatencyFacts> latencies;
    std::span<const PinFacts> pins{};
};

/// The text that Prometheus reads: under pgbouncer_exporter's names (prometheus-community), because dashboards and
/// alerts have them, and pgkeel's own. See the Prometheus documentation, "Text-based format", version 0.0.4.
std::string metrics_text(const MetricsFacts& facts);

/// The type of that text in HTTP.
inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace pgkeel::console
