#include "cli/why_report.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

namespace pgkeel::cli {

namespace {
namespace json = boost::json;

std::string text_of(const json::value& value) {
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_double()) return fmt::format("{:g}", value.get_double());  // serialize writes 3.9E0
    return json::serialize(value);
}

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr || value->is_null() ? std::string{} : text_of(*value);
}

const json::object* object_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? value->if_object() : nullptr;
}

/// "key=value, key=value" in lines of at most 76 columns below the decision.
std::string facts_text(const json::object& facts) {
    std::string text;
    std::string line;
    for (const auto& [key, value] : facts) {
        const std::string fact = fmt::format("{}={}", std::string_view(key), text_of(value));
        if (!line.empty() && line.size() + fact.size() + 2 > 68) {
            text += "        " + line + ",\n";
            line.clear();
        }
        line += (line.empty() ? "" : ", ") + fact;
    }
    return line.empty() ? text : text + "        " + line + "\n";
}

std::string decision_text(const json::object& decision) {
    const std::string reason = text_at(decision, "reason");
    std::string text = fmt::format("  {}  {}{}\n", text_at(decision, "at"), text_at(decision, "action"),
                                   reason.empty() ? "" : " (" + reason + ")");
    if (const std::string said = text_at(decision, "text"); !said.empty()) text += "      " + said + "\n";
    if (const json::object* facts = object_at(decision, "facts")) text += facts_text(*facts);
    return text;
}

std::string decisions_text(const json::object& report, std::size_t count) {
    const json::value* decisions = report.if_contains("decisions");
    if (decisions == nullptr || !decisions->is_array() || decisions->get_array().empty()) return "  no decision yet\n";
    const json::array& all = decisions->get_array();
    std::string text;
    for (std::size_t i = all.size() - std::min(count, all.size()); i < all.size(); ++i)
        if (const json::object* decision = all[i].if_object()) text += decision_text(*decision);
    return text;
}

std::string failover_text(const json::object& report) {
    const json::object* failover = object_at(report, "failover_now");
    if (failover == nullptr) return {};
    const json::value* possible = failover->if_contains("possible");
    const bool yes = possible != nullptr && possible->is_bool() && possible->get_bool();
    const std::string why = text_at(*failover, "why");
    return fmt::format("  {}: {}{}\n", text_at(report, "name"), yes ? "possible" : "not possible",
                       why.empty() ? "" : ": " + why);
}
}  // namespace

std::string why_report(const ClusterView& view, const json::array& reports, std::size_t count) {
    std::string text;
    std::string failover;
    for (const json::value& entry : reports) {
        const json::object* report = entry.if_object();
        if (report == nullptr) continue;
        const std::string name = text_at(*report, "name");
        const bool leads = view.leader && view.leader->name == name;
        text += fmt::format("{}{}\n", name, leads ? " (leader)" : "");
        if (report->contains("error")) {
            text += fmt::format("  does not tell: {}\n", text_at(*report, "error"));
        } else {
            text += decisions_text(*report, count);
            failover += failover_text(*report);
        }
        text += "\n";
    }
    if (!failover.empty()) text += "A failover now, as each agent sees it:\n" + failover;
    return text;
}

}  // namespace pgkeel::cli
