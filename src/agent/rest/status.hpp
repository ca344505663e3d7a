#pragma once
#include "agent/rest/facts.hpp"

#include <boost/json/object.hpp>

namespace pgkeel::agent::rest {

/// The answer to GET /patroni and to every health check: names and order are Patroni's; peers read it in elections.
boost::json::object status_json(const NodeFacts& facts);

}  // namespace pgkeel::agent::rest
