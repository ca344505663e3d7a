#include "config/dynamic_config.hpp"
#include "config/options.hpp"

// How Patroni compares and patches configurations: leaves by their text, so that 101 and "101" are the same setting.

namespace pgkeel::config {
namespace {

/// A permanent slot may have a name and nothing else.
bool names_slots(std::string_view key) {
    return key == "slots" || key == "permanent_slots" || key == "permanent_replication_slots";
}

/// A list or map that is stored for the first time has nothing that a null in it could delete.
json::value without_nulls(std::string_view key, const json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) return value;
    json::object out;
    for (const auto& member : *object)
        if (!member.value().is_null() || names_slots(key))
            out.insert_or_assign(member.key(), without_nulls(member.key(), member.value()));
    return out;
}

bool same_leaf(const json::value& a, const json::value& b) {
    const auto left = scalar_text(a);
    const auto right = scalar_text(b);
    return left && right ? *left == *right : a == b;
}

}  // namespace

bool merge_patch(json::object& target, const json::object& patch) {
    bool changed = false;
    for (const auto& member : patch) {
        const json::value& value = member.value();
        if (value.is_null()) {
            changed |= target.erase(member.key()) != 0;
            continue;
        }
        json::value* existing = target.if_contains(member.key());
        const auto* inner = value.if_object();
        if (existing == nullptr) {
            target.emplace(member.key(), without_nulls(member.key(), value));
            changed = true;
        } else if (inner != nullptr && existing->is_object()) {
            changed |= merge_patch(existing->get_object(), *inner);
        } else if (inner != nullptr || !same_leaf(*existing, value)) {
            *existing = without_nulls(member.key(), value);
            changed = true;
        }
    }
    return changed;
}

bool deep_equal(const json::value& a, const json::value& b) {
    const auto* left = a.if_object();
    const auto* right = b.if_object();
    if ((left == nullptr) != (right == nullptr)) return false;
    if (left == nullptr) return same_leaf(a, b);
    if (left->size() != right->size()) return false;
    for (const auto& member : *left) {
        const auto* other = right->if_contains(member.key());
        if (other == nullptr || !deep_equal(member.value(), *other)) return false;
    }
    return true;
}

}  // namespace pgkeel::config
