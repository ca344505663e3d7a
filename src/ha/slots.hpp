#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace pgkeel::ha {

struct SlotChanges {
    std::vector<std::string> create;
    std::vector<std::string> drop;
};

/// Which physical slots this node keeps for members that stream from it. Slots of a member that went away are kept for
/// `member_slots_ttl`, so that it finds its WAL when it comes back; `last_seen` (by slot name) is brought up to date.
/// Logical slots, active ones, and those named in `protected_names` are never dropped.
SlotChanges plan_member_slots(const ClusterView& view, const ClusterSettings& settings, const ServerState& server,
                              const std::string& self, const std::set<std::string>& protected_names, Instant now,
                              std::map<std::string, Instant>& last_seen);

/// A member's slot name: lower case, '-' and '.' to '_', other characters to u%04d of their code point, at most 63
/// bytes.
std::string slot_name(std::string_view member);

}  // namespace pgkeel::ha
