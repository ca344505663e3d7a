#pragma once
#include "cluster/admin_summary.hpp"

#include <boost/json/array.hpp>

#include <string>
#include <vector>

namespace pgkeel::cli {

/// One object a member, with patronictl's keys: Cluster, Member, Host, Role, State, TL, Receive LSN, Receive Lag,
/// Replay LSN, Replay Lag (4.1) and Lag in MB (3.0), lags in MB; then Pending restart, Scheduled restart and Tags where
/// there are any. A key without a value is left out. `extended`: the last three always, empty where there is nothing.
boost::json::array member_records(const std::string& cluster, const cluster::ClusterSummary& summary,
                                  bool extended = false);

/// The keys that occur in `records`, in the order above: the columns of a tsv.
std::vector<std::string> member_columns(const boost::json::array& records);

/// The same for people: the fullest of several layouts that fits in `width` columns, with what concerns the whole
/// cluster below.
std::string member_table(const std::string& cluster, const cluster::ClusterSummary& summary, std::size_t width,
                         bool as_tree, bool extended = false);

/// "Sync Standby"
std::string title_of(cluster::Standing standing);
/// "0 B", "812 kB", "1.4 GB": three significant digits at most, powers of 1024.
std::string human_bytes(std::uint64_t bytes);

}  // namespace pgkeel::cli
