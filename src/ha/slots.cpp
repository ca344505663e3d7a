#include "ha/slots.hpp"

#include <fmt/format.h>

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

/// `member` streams from `self`: it was told to, or self leads and the member was told nothing that exists.
bool streams_from(const Member& member, const std::string& self, const ClusterView& view, bool self_leads) {
    if (member.tags.nostream) return false;
    const std::string& wanted = member.tags.replicatefrom;
    const bool wanted_exists = !wanted.empty() && wanted != member.name && view.member(wanted);
    return wanted_exists ? wanted == self : self_leads;
}

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

SlotChanges plan_member_slots(const ClusterView& view, const ClusterSettings& settings, const ServerState& server,
                              const std::string& self, const std::set<std::string>& protected_names, Instant now,
                              std::map<std::string, Instant>& last_seen) {
    SlotChanges changes;
    std::set<std::string> wanted;
    const bool leads = view.leader && view.leader->name == self && server.is_primary();
    // Between its key's disappearance and its return a primary still has its standbys.
    if (server.is_primary() && !leads) return changes;
    if (settings.use_slots)
        for (const Member& member : view.members)
            if (member.name != self && streams_from(member, self, view, leads)) wanted.insert(slot_name(member.name));
    for (const std::string& name : wanted) last_seen[name] = now;

    std::set<std::string> existing;
    for (const Slot& slot : server.slots) {
        existing.insert(slot.name);
        if (!slot.physical || slot.active || wanted.contains(slot.name) || protected_names.contains(slot.name))
            continue;
        // A slot that was there before this process is given the same time.
        const auto [seen, added] = last_seen.try_emplace(slot.name, now);
        if (!settings.pause && (now - seen->second >= settings.member_slots_ttl || !settings.use_slots || !leads))
            changes.drop.push_back(slot.name);
    }
    for (const std::string& name : wanted)
        if (!existing.contains(name)) changes.create.push_back(name);
    std::erase_if(last_seen,
                  [&](const auto& entry) { return !wanted.contains(entry.first) && !existing.contains(entry.first); });
    return changes;
}

}  // namespace pgkeel::ha
