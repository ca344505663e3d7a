#pragma once
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// Which replication slots a node keeps, and how far they are. The leader publishes the positions of its slots in the
// key `status`; every other node keeps the same slots and moves them on to there, so that whoever takes over has the
// WAL for everybody, and logical slots with it.

namespace pgkeel::ha {

/// What a slot should be.
struct WantedSlot {
    PermanentSlot what;
    Lsn position;  ///< where its user is, as far as the cluster knows; zero: nobody knows
    /// Whether somebody should be connected to it here; nothing when nobody can tell.
    std::optional<bool> expected_active;
};

/// Everything that a plan depends on.
struct SlotQuestion {
    const ClusterView& view;
    const ClusterSettings& settings;
    const ServerState& server;
    const std::string& self;
    const Tags& tags;
    bool leads = false;  ///< holds the lease
    Instant now{};
};

/// What a node remembers between two plans.
struct SlotMemory {
    bool led = false;
    std::map<std::string, Instant> members;  ///< the leader's: when the member of a slot was last there
    std::map<std::string, Instant> unknown;  ///< a primary's: since when a slot belongs to nobody
    std::set<std::string> permanent;         ///< what the configuration named last
};

struct SlotChanges {
    struct Drop {
        std::string name;
        std::string why;  ///< goes behind the name
    };
    struct Advance {
        std::string name;
        std::string database;  ///< of a logical one
        Lsn to;
    };
    struct Logical {
        std::string name, database, plugin;
    };
    std::vector<std::string> create;  ///< physical ones
    std::vector<Logical> create_logical;
    std::vector<Drop> drop;
    std::vector<Advance> advance;
    std::vector<Logical> copy;  ///< from the leader, into a standby
};

/// The slots this node should have.
///
/// - Each member that streams has one on every node, so that it finds its WAL wherever it goes; a node that cannot be
///   promoted keeps those of its own standbys only. With member_slots_ttl = 0: only where the member streams from.
/// - A member that went away keeps its slot for member_slots_ttl; the leader publishes these names (`retain_slots`).
/// - Permanent ones; of logical ones none in a standby cluster, and none where feedback does not reach the primary.
std::map<std::string, WantedSlot> wanted_slots(const SlotQuestion& question, const SlotMemory& memory);

/// What has to be done, and brings `memory` up to date. Slots that are active, or match `ignore_slots`, are left alone,
/// and so is what only PostgreSQL's own users know on a primary: a logical slot for ever, a physical one for
/// member_slots_ttl.
SlotChanges plan_slots(const SlotQuestion& question, SlotMemory& memory);

/// What the leader publishes: where its slots are, its own name among them (its slot on the others), and which of them
/// are kept for members that may come back.
struct PublishedSlots {
    std::map<std::string, Lsn> positions;
    std::vector<std::string> retained;
};
PublishedSlots slots_to_publish(const SlotQuestion& question, const SlotMemory& memory);

/// A standby with logical slots, or with standbys below it that have some, has to tell the primary which rows of the
/// catalog they still need.
bool needs_hot_standby_feedback(const ClusterView& view, const ClusterSettings& settings, const std::string& self,
                                const Tags& tags);

/// The slot on the primary that carries the feedback of `member`: its own, or that of the standby it hangs on; nothing
/// when no feedback reaches the primary.
std::optional<std::string> slot_on_primary(const ClusterView& view, const std::string& member, const Tags& tags);

/// A copy of a logical slot can be used after a promotion once the primary keeps what it needs: the feedback (the
/// catalog_xmin of our physical slot there) has passed where the original was when it was copied, and has not passed
/// the copy.
bool copy_is_safe(std::uint32_t original_catalog_xmin, std::uint32_t feedback_catalog_xmin,
                  std::uint32_t copy_catalog_xmin);

/// A member's slot name: lower case, '-' and '.' to '_', other characters to u%04d of their code point, at most 63
/// bytes.
std::string slot_name(std::string_view member);

}  // namespace pgkeel::ha
