#pragma once
#include "base/settings.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

namespace pgkeel::config {

/// `slots` (or an older name of it), `ignore_slots` and `standby_cluster` of the dynamic configuration, into `out`.
/// What cannot be a slot is left out, with a line in `warnings`.
void read_slot_settings(const boost::json::object& dynamic, ClusterSettings& out, std::vector<std::string>& warnings);

}  // namespace pgkeel::config
