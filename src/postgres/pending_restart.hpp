#pragma once
#include "postgres/effective_parameters.hpp"

#include <string>
#include <vector>

namespace pgkeel::postgres {

/// A row of pg_settings.
struct SettingRow {
    std::string name, setting, unit, vartype, context;
    bool pending_restart = false;
    std::string boot_value = {};
};
/// The query whose columns are those of SettingRow, in order.
inline constexpr const char* pg_settings_query =
    "SELECT name, setting, unit, vartype, context, pending_restart, boot_val FROM pg_catalog.pg_settings";

/// What a restart would change: {name: {old_value, new_value}} for parameters that only a start can set; {} when
/// nothing. Equal values in other units are no change. Values the decrease rule holds up are in it as well.
json::object pending_restart_reason(const Parameters& wanted, const std::vector<SettingRow>& running);

/// Whether a reload would change something: a parameter that needs no restart differs from what the server runs with.
bool reload_needed(const Parameters& wanted, const std::vector<SettingRow>& running);

}  // namespace pgkeel::postgres
