#include "base/sync_rule.hpp"

namespace pgkeel {
namespace {

/// Quoted like Patroni does: the value is compared with what others expect to see.
std::string quoted(const std::string& name) {
    if (name == impossible_standby) return name;
    std::string text = "\"";
    for (const char c : name) {
        if (c == '"') text += '"';
        text += c;
    }
    return text + '"';
}

}  // namespace

std::string to_setting(const SyncRule& rule) {
    if (rule.names.empty()) return {};
    if (!rule.any && rule.names.size() == 1) return quoted(*rule.names.begin());
    std::string list;
    for (const std::string& name : rule.names) list += (list.empty() ? "" : ",") + quoted(name);
    return (rule.any ? "ANY " : "") + std::to_string(rule.count) + " (" + list + ")";
}

}  // namespace pgkeel
