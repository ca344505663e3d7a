#include "config/slot_settings.hpp"

#include "config/options.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace pgkeel::config {
namespace {

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? scalar_text(*value).value_or("") : std::string();
}

bool is_slot_name(std::string_view name) {
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

/// A scalar or an empty value means a physical slot, as Patroni takes it.
std::optional<PermanentSlot> permanent_slot(const json::value& value) {
    PermanentSlot slot;
    if (!value.is_object()) return value.is_array() ? std::nullopt : std::optional(slot);
    const json::object& object = value.get_object();
    slot.database = text_of(object, "database");
    slot.plugin = text_of(object, "plugin");
    slot.cluster_type = text_of(object, "cluster_type");
    const std::string type = text_of(object, "type");
    const bool describes_logical = !slot.database.empty() && !slot.plugin.empty();
    slot.physical = type.empty() ? !describes_logical : type == "physical";
    if (!slot.physical && (type == "logical" || type.empty()) && describes_logical) return slot;
    return slot.physical ? std::optional(PermanentSlot{.cluster_type = slot.cluster_type}) : std::nullopt;
}

}  // namespace

void read_slot_settings(const json::object& dynamic, ClusterSettings& out, std::vector<std::string>& warnings) {
    for (const char* key : {"permanent_replication_slots", "permanent_slots", "slots"}) {
        const json::value* slots = dynamic.if_contains(key);
        if (slots == nullptr || !slots->is_object() || slots->get_object().empty()) continue;
        for (const auto& [name, value] : slots->get_object()) {
            if (!is_slot_name(name)) {
                warnings.push_back(
                    fmt::format("dynamic configuration: {}.{}: a slot's name has lower case letters, "
                                "digits and _ only, left out",
                                key, std::string_view(name)));
                continue;
            }
            auto slot = permanent_slot(value);
            if (slot)
                out.permanent_slots.emplace(name, std::move(*slot));
            else
                warnings.push_back(
                    fmt::format("dynamic configuration: {}.{}: {} is neither a physical slot nor a "
                                "logical one with its database and plugin, left out",
                                key, std::string_view(name), json::serialize(value)));
        }
        break;
    }
    if (const json::value* ignored = dynamic.if_contains("ignore_slots"); ignored != nullptr && ignored->is_array())
        for (const json::value& entry : ignored->get_array())
            if (entry.is_object())
                out.ignored_slots.push_back({.name = text_of(entry.get_object(), "name"),
                                             .type = text_of(entry.get_object(), "type"),
                                             .database = text_of(entry.get_object(), "database"),
                                             .plugin = text_of(entry.get_object(), "plugin")});
    const json::value* remote = dynamic.if_contains("standby_cluster");
    if (!out.standby_cluster || remote == nullptr || !remote->is_object()) return;
    const json::object& section = remote->get_object();
    out.remote = {.host = text_of(section, "host"),
                  .port = text_of(section, "port"),
                  .slot_name = text_of(section, "primary_slot_name")};
    if (out.remote.host.empty() && !out.remote.port.empty()) out.remote.host = "localhost";
    if (!out.remote.host.empty() && out.remote.port.empty()) out.remote.port = "5432";
}

}  // namespace pgkeel::config
