#pragma once
#include "agent/rest/facts.hpp"

#include <cstdint>
#include <string>

namespace pgkeel::agent::rest {

/// What the API counts of itself.
struct RequestCounts {
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;  ///< by the access rules
    std::uint64_t failed = 0;   ///< with a status of 500 and above, health checks left out
};

/// The text that Prometheus reads: Patroni's metrics under Patroni's names, because dashboards have them, and pgkeel's
/// own. See the Prometheus documentation, "Text-based format".
std::string metrics_text(const NodeFacts& facts, const RequestCounts& counts);

}  // namespace pgkeel::agent::rest
