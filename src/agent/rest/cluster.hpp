#pragma once
#include "base/cluster_view.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <string>

namespace pgkeel::agent::rest {

/// GET /cluster: the members as their keys tell it, and what is planned.
boost::json::object cluster_json(const ClusterView& view, const ClusterSettings& settings, const std::string& scope);

/// GET /history: [[timeline, lsn, reason, time, new leader], …]
boost::json::array history_json(const ClusterView& view);

}  // namespace pgkeel::agent::rest
