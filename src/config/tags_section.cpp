#include "config/dynamic_config.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgkeel::config {
namespace {

constexpr std::array<std::string_view, 5> booleans{"nofailover", "noloadbalance", "clonefrom", "nosync", "nostream"};

/// As Python counts: not null, not false, not zero, not empty. A text that says no means no, though: "false" is not
/// true here.
bool is_true(const json::value& value) {
    if (const auto flag = parse_bool(value)) return *flag;
    switch (value.kind()) {
        case json::kind::null:
            return false;
        case json::kind::string:
            return !value.get_string().empty();
        case json::kind::array:
            return !value.get_array().empty();
        case json::kind::object:
            return !value.get_object().empty();
        case json::kind::double_:
            return value.get_double() != 0;
        default:
            return true;  // a number that is neither 0 nor 1
    }
}

struct Pair {
    bool flag = false;
    int priority = 1;
};

/// `nofailover` with `failover_priority`, `nosync` with `sync_priority`: the boolean wins, when it is there.
Pair read_pair(const json::object& tags, const std::string& flag_name, const std::string& priority_name,
               Findings& findings) {
    const auto* flag = tags.if_contains(flag_name);
    if (flag != nullptr && flag->is_null()) flag = nullptr;
    const auto* written = tags.if_contains(priority_name);
    std::optional<std::int64_t> priority;
    if (written != nullptr && !written->is_null()) {
        priority = whole_number(*written, "");
        if (priority && (*priority > 1'000'000'000 || *priority < -1'000'000'000)) priority.reset();
        if (!priority) findings.warn("tags." + priority_name, "is no whole number, taking 1");
    }
    if (flag == nullptr)
        return {.flag = priority && *priority <= 0, .priority = static_cast<int>(priority.value_or(1))};
    const bool value = is_true(*flag);
    if (priority && value == (*priority > 0)) {
        // Patroni's words, for whoever searches logs for them.
        const std::string text =
            flag->is_bool() ? (value ? "True" : "False") : scalar_text(*flag).value_or(value ? "True" : "False");
        findings.warnings.push_back(
            fmt::format("Conflicting configuration between {}: {} and {}: {}. Defaulting to {}: {}", flag_name, text,
                        priority_name, *priority, flag_name, text));
    }
    return {.flag = value, .priority = value ? 0 : static_cast<int>(priority.value_or(1))};
}

bool flag_of(const json::object& tags, std::string_view name) {
    const auto* value = tags.if_contains(name);
    return value != nullptr && is_true(*value);
}

}  // namespace

ReadTags read_tags(const json::object& written, Findings& findings) {
    ReadTags out;
    const Pair failover = read_pair(written, "nofailover", "failover_priority", findings);
    const Pair sync = read_pair(written, "nosync", "sync_priority", findings);
    out.tags.nofailover = failover.flag;
    out.tags.failover_priority = failover.priority;
    out.tags.nosync = sync.flag;
    out.tags.sync_priority = sync.priority;
    out.tags.noloadbalance = flag_of(written, "noloadbalance");
    out.tags.clonefrom = flag_of(written, "clonefrom");
    out.tags.nostream = flag_of(written, "nostream");
    if (const auto* from = written.if_contains("replicatefrom"))
        out.tags.replicatefrom = scalar_text(*from).value_or("");

    for (const auto& member : written) {
        const std::string_view name(member.key().data(), member.key().size());
        const bool standard = std::ranges::find(booleans, name) != booleans.end();
        const bool beside_priority = (name == "nofailover" && written.contains("failover_priority")) ||
                                     (name == "nosync" && written.contains("sync_priority"));
        if (!standard || is_true(member.value()) || beside_priority)
            out.published.insert_or_assign(name, member.value());
    }
    return out;
}

}  // namespace pgkeel::config
