#pragma once
#include "agent/rest/facts.hpp"
#include "http/message.hpp"

#include <string>

// What load balancers and orchestrators ask (Patroni's documentation, "Health check endpoints"). Pure.

namespace pgkeel::agent::rest {

/// 200 or 503 for any path that is none of the others: `/`, `/primary`, `/replica?lag=10MB`, `/read-only?tag_zone=a` …
int health_status(const NodeFacts& facts, const std::string& path, const http::Headers& query);

/// 200: the agent is not stuck.
int liveness_status(const NodeFacts& facts);

/// 200: the leader, or a standby that streams and is close enough behind (`?lag=`, `?mode=apply|write`).
int readiness_status(const NodeFacts& facts, const http::Headers& query);

}  // namespace pgkeel::agent::rest
