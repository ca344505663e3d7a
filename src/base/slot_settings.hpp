#pragma once
#include <string>

// What the dynamic configuration says about slots and about the cluster that is followed. Plain data; `config/` fills
// it.

namespace pgkeel {

/// A slot that every node keeps (`slots`).
struct PermanentSlot {
    bool physical = true;
    std::string database{}, plugin{};  ///< of a logical one
    std::string cluster_type{};        ///< "primary" or "standby": only in clusters of that kind; empty: in all
    bool operator==(const PermanentSlot&) const = default;
};

/// Slots that are nobody's business here (`ignore_slots`). An empty field matches everything.
struct SlotMatcher {
    std::string name{}, type{}, database{}, plugin{};
    bool operator==(const SlotMatcher&) const = default;
};

/// The primary that a standby cluster follows (`standby_cluster`).
struct RemotePrimary {
    std::string host{};  ///< may be several, with commas between them; empty: only its archive is read
    std::string port{};
    std::string slot_name{};
    bool operator==(const RemotePrimary&) const = default;
};

}  // namespace pgkeel
