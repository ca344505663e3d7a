// Replication slots of a node: what ha/slots.hpp plans is done here. Short things at once; logical slots take their
// time, one after the other beside the loop; their copies come by an operation, because the server has to be down.
#include "agent/node.hpp"
#include "async/spawn.hpp"
#include "ha/slots.hpp"
#include "log/log.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {
/// A primary that cannot be read from is not asked every second.
constexpr Duration copy_pause = 10s;
/// Each copy costs a restart.
constexpr Duration hopeless_copy_pause = 5min;
}  // namespace

ha::SlotQuestion Node::slot_question() const {
    return {.view = *seen_.view,
            .settings = seen_.settings,
            .server = seen_.server,
            .self = identity_.name,
            .tags = seen_.tags,
            .leads = keeper_.held().has_value(),
            .now = out_.clock.now()};
}

Task<> Node::keep_slots() {
    if (!seen_.server.accepts_connections || seen_.operation || fencing_) co_return;
    if (seen_.server.in_recovery) {
        const bool forced = ha::needs_hot_standby_feedback(*seen_.view, seen_.settings, identity_.name, seen_.tags);
        if (const auto done = co_await out_.server.force_hot_standby_feedback(forced); !done)
            log::warning("could not switch hot_standby_feedback {}: {}", forced ? "on" : "back", done.error().line());
    }
    ha::SlotChanges changes = ha::plan_slots(slot_question(), slot_memory_);
    for (const auto& drop : changes.drop) {
        const auto dropped = co_await out_.server.drop_slot(drop.name);
        if (complain_once(drop.name, dropped)) log::info("dropped the replication slot {}, {}", drop.name, drop.why);
    }
    for (const std::string& name : changes.create)
        if (complain_once(name, co_await out_.server.create_slot(name))) wake_.set();  // it is to be published
    for (const auto& each : changes.advance)
        if (each.database.empty()) complain_once(each.name, co_await out_.server.advance_slot(each.name, {}, each.to));
    co_await prove_copies();
    const bool can_copy = !seen_.operation && !fencing_ && !stopping_ && out_.clock.now() >= retry_copy_at_;
    if (!changes.copy.empty() && can_copy && seen_.server.in_recovery)
        start(ha::Operation::copy_slots, copy_slots(std::move(changes.copy)));
    else
        move_logical_slots(std::move(changes));
}

/// The standbys make what they read in the key `status`: which slots there are is told at once, where they are with the
/// renewals.
void Node::tell_slots() {
    std::map<std::string, Lsn> slots = status_to_publish().slots;
    const bool same = std::ranges::equal(std::views::keys(slots), std::views::keys(told_slots_));
    told_slots_ = std::move(slots);
    if (!same && keeper_.held()) keeper_.renew_now();
}

/// A failure that goes on is said once. True: it was none.
bool Node::complain_once(const std::string& slot, const Result<>& done) {
    if (done) {
        slot_complaints_.erase(slot);
        return true;
    }
    std::string text = done.error().line();
    std::string& last = slot_complaints_[slot];
    if (last != text) log::warning("{}", text);
    last = std::move(text);
    return false;
}

void Node::move_logical_slots(ha::SlotChanges changes) {
    if (logical_slots_busy_) return;
    std::erase_if(changes.advance, [](const auto& each) { return each.database.empty(); });
    if (changes.advance.empty() && changes.create_logical.empty()) return;
    logical_slots_busy_ = true;
    spawn(out_.executor, "logical slots", work_on_logical_slots(std::move(changes)));
}

Task<> Node::work_on_logical_slots(ha::SlotChanges changes) {
    for (const auto& each : changes.create_logical) {
        const auto made = co_await out_.server.create_logical_slot(each.name, each.database, each.plugin);
        if (complain_once(each.name, made)) log::info("created the logical slot {} in {}", each.name, each.database);
    }
    for (const auto& each : changes.advance) {
        const auto moved = co_await out_.server.advance_slot(each.name, each.database, each.to);
        if (complain_once(each.name, moved) || moved.error().code != Errc::not_found) continue;
        // The original keeps WAL from before this standby was made: a later copy may do.
        retry_copy_at_ = out_.clock.now() + hopeless_copy_pause;
        complain_once(each.name, co_await out_.server.drop_slot(each.name));
    }
    logical_slots_busy_ = false;
    if (!changes.create_logical.empty()) wake_.set();  // they are to be published
}

Task<> Node::copy_slots(std::vector<ha::SlotChanges::Logical> wanted) {
    retry_copy_at_ = out_.clock.now() + copy_pause;
    const Member* leader = seen_.view ? seen_.view->leader_member() : nullptr;
    if (!leader) co_return;
    std::vector<std::string> names;
    for (const auto& each : wanted) names.push_back(each.name);
    auto found = co_await out_.server.slots_of(*leader, names, true);
    if (!complain_once("", found ? Result<>{} : Result<>(std::unexpected(found.error())))) co_return;
    std::erase_if(*found, [&](const postgres::PrimarysSlot& slot) {
        const bool fits = std::ranges::any_of(wanted, [&](const auto& each) {
            return each.name == slot.name && each.database == slot.database && each.plugin == slot.plugin;
        });
        return !fits || slot.state.empty();
    });
    if (found->empty() || stopping_ || fencing_ || !seen_.server.in_recovery) co_return;
    names.clear();
    for (const auto& slot : *found) names.push_back(slot.name);
    log::info("restarting PostgreSQL with copies of the logical slots {}", fmt::join(names, ", "));
    operation_state_ = "restarting";
    const std::string follow = seen_.following;
    const auto stopped = co_await out_.server.stop(
        {.mode = postgres::StopMode::fast, .checkpoint_first = false, .timeout = 60s, .on_shut_down = {}});
    if (!stopped) {
        log::error("could not stop PostgreSQL to give it logical slots: {}", stopped.error().line());
        co_return;
    }
    if (complain_once("", co_await out_.server.install_slots(*found)))
        for (const std::string& name : names) unproven_slots_[name] = std::nullopt;
    if (!stopping_) co_await start_standby(follow);
}

/// Says once of each copy from when on it can be used after a failover.
Task<> Node::prove_copies() {
    if (!seen_.server.in_recovery) {
        if (!unproven_slots_.empty()) {
            std::vector<std::string> names;
            for (const auto& [name, since] : unproven_slots_) names.push_back(name);
            log::warning(
                "logical slots that may have lost what they need, because this server was promoted before the "
                "primary kept it for them: {}",
                fmt::join(names, ", "));
            unproven_slots_.clear();
        }
        co_return;
    }
    if (!std::exchange(copies_known_, true))  // those of an agent before this one
        for (const Slot& slot : seen_.server.slots)
            if (!slot.physical && seen_.settings.permanent_slots.contains(slot.name))
                unproven_slots_[slot.name] = std::nullopt;
    std::erase_if(unproven_slots_, [&](const auto& entry) { return !own_slot(entry.first); });
    const Member* leader = seen_.view->leader_member();
    const auto feedback = ha::slot_on_primary(*seen_.view, identity_.name, seen_.tags);
    if (unproven_slots_.empty() || !leader || leader->name == identity_.name || !feedback) co_return;
    if (out_.clock.now() < retry_proof_at_) co_return;
    retry_proof_at_ = out_.clock.now() + std::max<Duration>(seen_.settings.loop_wait, 1s);
    std::vector<std::string> names{*feedback};
    for (const auto& [name, since] : unproven_slots_) names.push_back(name);
    const auto found = co_await out_.server.slots_of(*leader, names, false);
    if (!found) co_return;
    std::map<std::string, std::uint32_t> there;
    for (const auto& slot : *found) there[slot.name] = slot.catalog_xmin;
    const std::uint32_t fed_back = there[*feedback];
    if (fed_back == 0) co_return;
    for (auto& [name, original] : unproven_slots_)
        if (!original) original = there[name];
    std::erase_if(unproven_slots_, [&](const auto& entry) {
        const Slot* copy = own_slot(entry.first);
        const bool safe = copy && ha::copy_is_safe(*entry.second, fed_back, copy->catalog_xmin);
        if (safe) log::info("Logical slot {} is safe to be used after a failover", entry.first);
        return safe;
    });
}

const Slot* Node::own_slot(const std::string& name) const {
    const auto found = std::ranges::find(seen_.server.slots, name, &Slot::name);
    return found == seen_.server.slots.end() ? nullptr : &*found;
}

}  // namespace pgkeel::agent
