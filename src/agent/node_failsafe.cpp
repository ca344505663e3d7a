// The standby's side of the failsafe mode, and the slots of both sides (docs/decisions/0009-failsafe.md).
#include "agent/node.hpp"
#include "async/spawn.hpp"
#include "ha/slots.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgkeel::agent {

/// To refuse is always safe. Who accepts does not lead for as long as the caller may go on.
Node::RestartOutcome Node::accept_failsafe(const cluster::FailsafeCall& call) {
    if (!seen_.settings.failsafe_mode) return {502, "the failsafe mode is off"};
    const bool may_write = seen_.server.running() && !seen_.server.in_recovery && !seen_.server.standby_signal;
    if (seen_.server.is_primary() || may_write || keeper_.held()) return {500, "Running as a leader"};
    // A request for the key that is under way may have been granted, or be granted yet.
    if (keeper_.taking() || keeper_.releasing()) return {503, "I am about to lead"};
    if (!known_leader_.empty() && known_leader_ != call.name)
        return {503, fmt::format("the leader that I know is {}", known_leader_)};
    const Instant now = out_.clock.now();
    if (!failsafe_is_active()) log::info("{} goes on without etcd, and I let it", call.name);
    seen_.heartbeat.accepted_failsafe(now, std::chrono::seconds(call.ttl_seconds));
    move_slots_without_store(call.slots);
    return {200, "Accepted"};
}

/// What the key `status` would show if it could be written: those slots that it showed last, where they are now.
void Node::note_slots_without_store() {
    std::map<std::string, Lsn> members;
    for (const auto& [name, position] : failsafe_.positions()) members[ha::slot_name(name)] = position;
    for (auto& [name, position] : told_slots_) {
        if (const auto member = members.find(name); member != members.end())
            position = std::max(position, member->second);
        if (name == ha::slot_name(identity_.name)) position = std::max(position, seen_.server.position());
        if (const Slot* slot = own_slot(name))
            position = std::max(position, slot->physical ? slot->restart_lsn : slot->confirmed_flush_lsn);
    }
    // Those of members that stream from another standby do not move by themselves.
    if (keeper_.held()) move_slots_without_store(std::move(members));
}

void Node::move_slots_without_store(std::map<std::string, Lsn> slots) {
    if (slots.empty() || seen_.view || seen_.operation || std::exchange(failsafe_slots_busy_, true)) return;
    spawn(out_.executor, "failsafe slots", advance_slots(std::move(slots)));
}

Task<> Node::advance_slots(std::map<std::string, Lsn> slots) {
    for (const Slot& slot : std::vector<Slot>(seen_.server.slots)) {
        const auto wanted = slots.find(slot.name);
        // A logical one of a primary has a user of its own.
        if (wanted == slots.end() || slot.active || (!slot.physical && !seen_.server.in_recovery)) continue;
        // On a standby it reads the WAL up to there, so that has to be here.
        const Lsn to = slot.physical ? wanted->second : std::min(wanted->second, seen_.server.replayed);
        if ((slot.physical ? slot.restart_lsn : slot.confirmed_flush_lsn) >= to) continue;
        if (const auto moved = co_await out_.server.advance_slot(slot.name, slot.database, to); !moved)
            log::debug("{}", moved.error().line());
    }
    failsafe_slots_busy_ = false;
}

}  // namespace pgkeel::agent
