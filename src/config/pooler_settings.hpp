#pragma once
#include "config/pooler.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The settings by name: what the admin console asks and changes.

namespace pgkeel::config {

/// Reads `value` into the setting `name`. Errors: not_found — with the nearest name; invalid_input.
Result<> set_pooler_setting(PoolerSettings& settings, std::string_view name, std::string_view value);

enum class SetOutcome {
    changed,
    unchanged,
    needs_restart,  ///< the value is allowed, and nothing was changed
};
/// `SET name = value` in a running process; PgBouncer is silent about `needs_restart`. Errors as above.
Result<SetOutcome> change_pooler_setting(PoolerSettings& settings, std::string_view name, std::string_view value);

/// A row of SHOW CONFIG.
struct ShownSetting {
    std::string key;
    std::optional<std::string> value, default_value;
    bool changeable = false;
    std::string help, unit;
    bool secret = false;  ///< the value is shown as stars
};
/// Sorted by key.
std::vector<ShownSetting> show_pooler_settings(const PoolerSettings& settings);

}  // namespace pgkeel::config
