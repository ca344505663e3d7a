#pragma once
#include "cli/session.hpp"

namespace pgkeel::cli {

/// What switchover and failover share: both make another member primary, by the same request to the same place.
struct HandoverOptions : ClusterOptions {
    bool is_failover = false;
    std::string leader;
    std::string candidate;
    std::string scheduled;
    bool is_step = false;  ///< of a longer command, which says itself how the cluster is afterwards
};

/// Asks, requests, tells what happens until the new primary takes writes, and how long none were taken.
Task<Result<int>> hand_over(Session& session, HandoverOptions options);

}  // namespace pgkeel::cli
