#include "postgres/pending_restart.hpp"

#include "config/dynamic_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pgkeel::postgres {
namespace {

/// The running server's own description of a parameter; extensions have ones that no table knows.
Guc described(const SettingRow& row) {
    Guc guc;
    guc.name = row.name;
    guc.unit = row.unit;
    if (row.vartype == "bool")
        guc.type = GucType::boolean;
    else if (row.vartype == "integer")
        guc.type = GucType::integer;
    else if (row.vartype == "real")
        guc.type = GucType::real;
    else if (row.vartype == "enum")
        guc.type = GucType::enumeration;
    if (const Guc* known = find_guc(row.name)) guc.values = known->values;
    return guc;
}

/// A size or time in the largest unit that keeps it whole, as a person would write it.
std::string readable(const SettingRow& row, const std::string& value) {
    struct Step {
        std::string_view unit;
        double size;
    };
    static constexpr std::array sizes = {Step{"TB", 1099511627776.0}, Step{"GB", 1073741824.0}, Step{"MB", 1048576.0},
                                         Step{"kB", 1024.0}, Step{"B", 1.0}};
    static constexpr std::array times = {Step{"d", 86400000.0}, Step{"h", 3600000.0}, Step{"min", 60000.0},
                                         Step{"s", 1000.0}, Step{"ms", 1.0}};
    if (row.unit.empty()) return value;
    const auto in = [&](const auto& steps, std::string_view base) -> std::optional<std::string> {
        const auto in_unit = config::parse_with_unit(value, row.unit);
        const auto factor = config::parse_with_unit("1" + row.unit, base);
        // "8kB" is a unit of PostgreSQL's that nobody can write after a number.
        const double unit_size = row.unit == "8kB" ? 8192 : factor.value_or(0);
        if (!in_unit || unit_size == 0 || *in_unit <= 0) return {};
        const double total = std::round(*in_unit) * unit_size;
        for (const Step& step : steps)
            if (total >= step.size && std::fmod(total, step.size) == 0)
                return fmt::format("{:.0f}{}", total / step.size, step.unit);
        return {};
    };
    const bool is_size = row.unit.ends_with('B');
    return (is_size ? in(sizes, "B") : in(times, "ms")).value_or(value);
}

const SettingRow* find_row(const std::vector<SettingRow>& rows, std::string_view name) {
    const auto row = std::ranges::find(rows, name, &SettingRow::name);
    return row == rows.end() ? nullptr : &*row;
}

/// -1 means a 32nd of shared_buffers, between 64 kB and a segment; pg_settings shows the outcome, in 8 kB blocks.
bool is_automatic_wal_buffers(const std::string& wanted, const SettingRow& row, const std::vector<SettingRow>& rows) {
    if (row.name != "wal_buffers" || wanted != "-1") return false;
    const SettingRow* shared = find_row(rows, "shared_buffers");
    const SettingRow* segment = find_row(rows, "wal_segment_size");
    const auto blocks = shared != nullptr ? config::parse_with_unit(shared->setting, "8kB") : std::nullopt;
    const auto bytes = segment != nullptr ? config::parse_with_unit(segment->setting, "B") : std::nullopt;
    const double automatic = std::clamp(std::floor(blocks.value_or(16384) / 32), 8.0, bytes.value_or(16777216) / 8192);
    const auto running = config::parse_with_unit(row.setting, "8kB");
    return running && *running == automatic;
}

bool is_skipped(std::string_view name) {
    return name == "hot_standby" || name == "primary_conninfo" || name == "primary_slot_name" ||
           name == "restore_command" || name == "recovery_end_command" || name == "archive_cleanup_command" ||
           name == "promote_trigger_file" || name == "recovery_min_apply_delay" || name.starts_with("recovery_target");
}

const std::string* wanted_value(const Parameters& wanted, const std::string& name) {
    if (const auto line = wanted.command_line.find(name); line != wanted.command_line.end()) return &line->second;
    if (const auto file = wanted.file.find(name); file != wanted.file.end()) return &file->second;
    return nullptr;
}

bool differs(const Parameters& wanted, const SettingRow& row, const std::vector<SettingRow>& rows) {
    const std::string* value = wanted_value(wanted, row.name);
    return value != nullptr && !same_guc(described(row), row.setting, *value) &&
           !is_automatic_wal_buffers(*value, row, rows);
}

}  // namespace

json::object pending_restart_reason(const Parameters& wanted, const std::vector<SettingRow>& running) {
    json::object reason;
    for (const SettingRow& row : running) {
        if (row.context != "postmaster" || is_skipped(row.name)) continue;
        const bool changed = differs(wanted, row, running);
        if (!changed && !row.pending_restart) continue;
        const std::string* value = wanted_value(wanted, row.name);
        // The server waits for a value that is not ours: somebody edited a file or used ALTER SYSTEM.
        const bool not_ours = !changed;
        reason[row.name] = json::object{
            {"old_value", readable(row, row.setting)},
            {"new_value", value == nullptr || not_ours ? std::string("?") : readable(row, *value)},
        };
    }
    for (const auto& [name, difference] : wanted.held_up) reason[name] = difference;
    return reason;
}

bool reload_needed(const Parameters& wanted, const std::vector<SettingRow>& running) {
    return std::ranges::any_of(running, [&](const SettingRow& row) {
        if (row.context == "internal" || row.context == "postmaster") return false;
        if (const auto recovery = wanted.recovery.find(row.name); recovery != wanted.recovery.end())
            return !(row.name == "primary_conninfo" ? same_conninfo(row.setting, recovery->second)
                                                    : same_guc(described(row), row.setting, recovery->second));
        return differs(wanted, row, running);
    });
}

}  // namespace pgkeel::postgres
