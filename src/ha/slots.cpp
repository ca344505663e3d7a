#include "ha/slots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgkeel::ha {

namespace {

/// The code point at `at`, which is moved behind it; a broken byte stands for itself.
char32_t next_code_point(std::string_view text, std::size_t& at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(at++);
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    if (more == 0 || at + static_cast<std::size_t>(more) > text.size()) return first;
    char32_t point = first & (0x3f >> more);
    for (int i = 0; i < more; ++i) point = (point << 6) | (byte(at++) & 0x3f);
    return point;
}

/// `name` streams from `self`: it was told to, or self leads and it was told nothing that exists.
bool streams_from(const Member& member, const SlotQuestion& q) {
    const std::string& wanted = member.tags.replicatefrom;
    const bool leader_itself = q.view.leader && q.view.leader->name == member.name;
    if (!q.leads) return wanted == q.self && !leader_itself;
    return wanted.empty() || wanted == q.self || wanted == member.name || !q.view.member(wanted);
}

bool is_retained(const std::string& name, const SlotQuestion& q, const SlotMemory& memory) {
    if (q.leads) return memory.members.contains(name);
    return std::ranges::find(q.view.status.retain_slots, name) != q.view.status.retain_slots.end();
}

Lsn published_position(const ClusterView& view, const std::string& name) {
    const auto found = view.status.slots.find(name);
    return found == view.status.slots.end() ? Lsn{} : found->second;
}

void add_members(std::map<std::string, WantedSlot>& wanted, const SlotQuestion& q) {
    for (const Member& member : q.view.members) {
        if (member.name == q.self || member.tags.nostream) continue;
        const bool active = streams_from(member, q);
        const bool keeps_all = q.settings.member_slots_ttl > std::chrono::seconds(0);
        if (keeps_all ? q.tags.nofailover && member.tags.replicatefrom != q.self : !active) continue;
        const std::string name = slot_name(member.name);
        WantedSlot& slot = wanted[name];
        slot.position = published_position(q.view, name);
        // The leader's slot of a member that streams from elsewhere does not move by itself; an older Patroni publishes
        // none.
        if (!member.tags.replicatefrom.empty() || !slot.position)
            slot.position = std::max(slot.position, member.location);
        slot.expected_active = active;
    }
}

void add_retained(std::map<std::string, WantedSlot>& wanted, const SlotQuestion& q, const SlotMemory& memory) {
    if (q.tags.nofailover) return;
    const auto add = [&](const std::string& name) {
        if (name != slot_name(q.self)) wanted.try_emplace(name, WantedSlot{{}, published_position(q.view, name), {}});
    };
    if (q.leads)
        for (const auto& [name, seen] : memory.members) add(name);
    else
        for (const std::string& name : q.view.status.retain_slots) add(name);
}

bool is_of_this_kind_of_cluster(const PermanentSlot& slot, bool standby_cluster) {
    return slot.cluster_type.empty() || slot.cluster_type == (standby_cluster ? "standby" : "primary");
}

void add_permanent(std::map<std::string, WantedSlot>& wanted, const SlotQuestion& q) {
    if (q.tags.nofailover) return;
    const bool with_logical = !q.settings.standby_cluster && slot_on_primary(q.view, q.self, q.tags);
    for (const auto& [name, what] : q.settings.permanent_slots) {
        if (name == slot_name(q.self) || wanted.contains(name)) continue;
        if (what.physical ? !is_of_this_kind_of_cluster(what, q.settings.standby_cluster) : !with_logical) continue;
        WantedSlot slot{what, published_position(q.view, name), {}};
        const Member* member = nullptr;
        for (const Member& each : q.view.members)
            if (slot_name(each.name) == name) member = &each;
        const bool cascades = member && !member->tags.replicatefrom.empty();
        if (what.physical && cascades) slot.position = std::max(slot.position, member->location);
        if (what.physical) slot.expected_active = q.leads && !cascades;
        wanted.emplace(name, std::move(slot));
    }
}

bool is_ignored(const Slot& slot, const std::vector<SlotMatcher>& matchers) {
    const auto fits = [](const std::string& wanted, std::string_view value) {
        return wanted.empty() || wanted == value;
    };
    return std::ranges::any_of(matchers, [&](const SlotMatcher& matcher) {
        return fits(matcher.name, slot.name) && fits(matcher.type, slot.physical ? "physical" : "logical") &&
               fits(matcher.database, slot.database) && fits(matcher.plugin, slot.plugin);
    });
}

bool is_what_is_wanted(const Slot& slot, const PermanentSlot& what) {
    if (slot.physical != what.physical) return false;
    return slot.physical || (slot.database == what.database && slot.plugin == what.plugin);
}

/// How far a slot may be moved: what this server does not have yet its user may still want from it.
Lsn reachable(Lsn position, const ServerState& server) {
    return std::min(position, server.in_recovery ? server.replayed : server.written);
}

/// Brings the memory of who was there up to date.
void remember_members(const SlotQuestion& q, SlotMemory& memory) {
    if (!q.leads) {
        memory.members.clear();
        memory.led = false;
        return;
    }
    if (!std::exchange(memory.led, true))  // the last leader's list; they have their whole time again
        for (const std::string& name : q.view.status.retain_slots) memory.members[name] = q.now;
    for (const Member& member : q.view.members)
        if (!member.tags.nostream) memory.members[slot_name(member.name)] = q.now;
    if (!q.tags.nostream) memory.members[slot_name(q.self)] = q.now;
    std::erase_if(memory.members, [&](const auto& entry) {
        const bool over = entry.second + q.settings.member_slots_ttl <= q.now;
        if (over) memory.unknown.try_emplace(entry.first, entry.second);
        return over;
    });
}

class Planner {
  public:
    Planner(const SlotQuestion& question, SlotMemory& memory) : q_(question), memory_(memory) {}

    SlotChanges plan() {
        if (q_.settings.use_slots) wanted_ = wanted_slots(q_, memory_);
        std::set<std::string> existing;
        for (const Slot& slot : q_.server.slots) {
            existing.insert(slot.name);
            const auto wanted = wanted_.find(slot.name);
            if (wanted == wanted_.end())
                look_at_unknown(slot);
            else
                look_at_wanted(slot, wanted->second);
        }
        for (const auto& [name, wanted] : wanted_)
            if (!existing.contains(name)) make(name, wanted);
        std::erase_if(memory_.unknown, [&](const auto& entry) {
            return !existing.contains(entry.first) || wanted_.contains(entry.first);
        });
        memory_.permanent.clear();
        for (const auto& [name, what] : q_.settings.permanent_slots) memory_.permanent.insert(name);
        return std::move(changes_);
    }

  private:
    void drop(const Slot& slot, std::string why) { changes_.drop.push_back({slot.name, std::move(why)}); }

    void look_at_unknown(const Slot& slot) {
        if (slot.active || slot.failover || q_.settings.pause || is_ignored(slot, q_.settings.ignored_slots)) return;
        if (memory_.permanent.contains(slot.name)) return drop(slot, "which is not configured any more");
        if (q_.server.in_recovery)
            return drop(slot, slot.physical ? "which no member uses" : "which nobody moves on while this is a standby");
        if (!slot.physical) return;
        const auto [since, added] = memory_.unknown.try_emplace(slot.name, q_.now);
        if (!q_.settings.use_slots || q_.now - since->second >= q_.settings.member_slots_ttl)
            drop(slot, "which no member uses");
    }

    void look_at_wanted(const Slot& slot, const WantedSlot& wanted) {
        if (slot.active) return;
        if (!is_what_is_wanted(slot, wanted.what)) return drop(slot, "which is of another kind than is configured");
        if (slot.wal_status == "lost") return drop(slot, "whose WAL is gone");
        if (slot.physical) return look_at_physical(slot, wanted);
        const Lsn to = reachable(wanted.position, q_.server);
        if (q_.server.in_recovery && to > slot.confirmed_flush_lsn)
            changes_.advance.push_back({slot.name, slot.database, to});
    }

    void look_at_physical(const Slot& slot, const WantedSlot& wanted) {
        // The xmin of a standby that streams from elsewhere now would hold up vacuum here for ever.
        const bool another_leads = q_.view.leader && q_.view.leader->name != q_.self;
        const bool knows = another_leads || (q_.leads && !q_.server.in_recovery);
        if (knows && wanted.expected_active == false && slot.has_xmin)
            return drop(slot, "whose xmin nobody moves on; it is made anew");
        if (wanted.expected_active == true || slot.has_xmin) return;
        if (!slot.restart_lsn) return drop(slot, "which keeps no WAL; it is made anew");
        const Lsn to = reachable(wanted.position, q_.server);
        if (to > slot.restart_lsn) changes_.advance.push_back({slot.name, {}, to});
    }

    void make(const std::string& name, const WantedSlot& wanted) {
        if (wanted.what.physical) {
            changes_.create.push_back(name);
            return;
        }
        const SlotChanges::Logical logical{name, wanted.what.database, wanted.what.plugin};
        if (!q_.server.in_recovery) {
            changes_.create_logical.push_back(logical);
            return;
        }
        // It restarts the server.
        const Member* leader = q_.view.leader_member();
        if (wanted.position && leader && leader->name != q_.self && leader->role == Role::primary && !q_.settings.pause)
            changes_.copy.push_back(logical);
    }

    const SlotQuestion& q_;
    SlotMemory& memory_;
    std::map<std::string, WantedSlot> wanted_;
    SlotChanges changes_;
};

}  // namespace

std::string slot_name(std::string_view member) {
    std::string name;
    for (std::size_t at = 0; at < member.size();) {
        const char32_t point = next_code_point(member, at);
        if (point < 0x80) {
            const char c = static_cast<char>(point);
            if (c >= 'A' && c <= 'Z') {
                name += static_cast<char>(c - 'A' + 'a');
                continue;
            }
            if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
                name += c;
                continue;
            }
            if (c == '-' || c == '.') {
                name += '_';
                continue;
            }
        }
        name += fmt::format("u{:04d}", static_cast<std::uint32_t>(point));
    }
    return name.substr(0, 63);
}

std::optional<std::string> slot_on_primary(const ClusterView& view, const std::string& member, const Tags& tags) {
    std::set<std::string> seen;
    const Tags* at = &tags;
    for (std::string name = member;;) {
        seen.insert(name);
        if (at->nostream) return std::nullopt;
        const std::string& wanted = at->replicatefrom;
        const Member* source = wanted.empty() || wanted == name ? nullptr : view.member(wanted);
        if (!source) return slot_name(name);
        if (seen.contains(source->name)) return std::nullopt;
        name = source->name;
        at = &source->tags;
    }
}

bool needs_hot_standby_feedback(const ClusterView& view, const ClusterSettings& settings, const std::string& self,
                                const Tags& tags) {
    const bool any_logical =
        std::ranges::any_of(settings.permanent_slots, [](const auto& slot) { return !slot.second.physical; });
    if (!any_logical || !settings.use_slots || settings.standby_cluster || !slot_on_primary(view, self, tags))
        return false;
    if (!tags.nofailover) return true;
    // It has none itself; those that stream through it may.
    std::set<std::string> below{self};
    for (bool grew = true; std::exchange(grew, false);)
        for (const Member& member : view.members) {
            if (member.tags.nostream || !below.contains(member.tags.replicatefrom) || below.contains(member.name))
                continue;
            if (!member.tags.nofailover) return true;
            grew = below.insert(member.name).second;
        }
    return false;
}

std::map<std::string, WantedSlot> wanted_slots(const SlotQuestion& question, const SlotMemory& memory) {
    std::map<std::string, WantedSlot> wanted;
    add_members(wanted, question);
    add_retained(wanted, question, memory);
    add_permanent(wanted, question);
    return wanted;
}

SlotChanges plan_slots(const SlotQuestion& question, SlotMemory& memory) {
    // Between its key's disappearance and its return a primary still has its standbys.
    if (!question.server.in_recovery && !question.leads) return {};
    remember_members(question, memory);
    return Planner(question, memory).plan();
}

PublishedSlots slots_to_publish(const SlotQuestion& question, const SlotMemory& memory) {
    PublishedSlots published;
    if (!question.settings.use_slots) return published;
    const auto wanted = wanted_slots(question, memory);
    const bool keeps_all = question.settings.member_slots_ttl > std::chrono::seconds(0);
    for (const Slot& slot : question.server.slots) {
        const auto found = wanted.find(slot.name);
        if (found == wanted.end() || !is_what_is_wanted(slot, found->second.what)) continue;
        if (!keeps_all && !question.settings.permanent_slots.contains(slot.name)) continue;
        if (const Lsn position = slot.physical ? slot.restart_lsn : slot.confirmed_flush_lsn)
            published.positions[slot.name] = position;
    }
    if (keeps_all) published.positions[slot_name(question.self)] = question.server.position();
    for (const auto& [name, position] : published.positions)
        if (is_retained(name, question, memory) && !question.settings.permanent_slots.contains(name))
            published.retained.push_back(name);
    return published;
}

bool copy_is_safe(std::uint32_t original_catalog_xmin, std::uint32_t feedback_catalog_xmin,
                  std::uint32_t copy_catalog_xmin) {
    // Transaction ids go round (PostgreSQL, "Preventing Transaction ID Wraparound Failures").
    const auto not_after = [](std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) <= 0; };
    return feedback_catalog_xmin != 0 && not_after(original_catalog_xmin, feedback_catalog_xmin) &&
           not_after(feedback_catalog_xmin, copy_catalog_xmin);
}

}  // namespace pgkeel::ha
