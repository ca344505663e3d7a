#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

// What a server says of its own past. Pure.

namespace pgkeel::postgres {

/// The lines of a timeline history file (NNNNNNNN.history, or TIMELINE_HISTORY's content): each timeline and where it
/// was left, oldest first. Errors: invalid_input with the line.
Result<std::vector<HistoryEntry>> parse_timeline_history(std::string_view text);

/// IDENTIFY_SYSTEM's row.
struct SystemIdentity {
    std::string system_identifier;
    Timeline timeline;
    Lsn position;
};
Result<SystemIdentity> parse_identify_system(const std::vector<std::string>& row);

/// "00000003.history"
std::string history_file_name(Timeline timeline);
/// The segment file that holds `lsn`.
std::string wal_file_name(Timeline timeline, Lsn lsn, std::uint64_t segment_bytes);

}  // namespace pgkeel::postgres
