#pragma once
#include "base/cluster_view.hpp"

#include <boost/json/array.hpp>

#include <string>

namespace pgkeel::cli {

/// The agents' reports (GET /pgkeel/decisions; or an object with `name` and `error`) for people: for each agent its
/// newest `count` decisions, oldest first, with their facts, and at the end whether a failover is possible now.
std::string why_report(const ClusterView& view, const boost::json::array& reports, std::size_t count);

}  // namespace pgkeel::cli
