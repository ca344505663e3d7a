#pragma once
#include "base/result.hpp"
#include "base/settings.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::config {

namespace json = boost::json;

/// null deletes a key, an object goes into an object, a leaf replaces when its text differs. True: something changed.
/// Nulls inside an object that is stored for the first time are left out, but for those of `slots`: a name alone is a
/// physical slot.
bool merge_patch(json::object& target, const json::object& patch);

/// Same keys, and leaves equal as text ("1" equals 1); lists must be equal in every element.
bool deep_equal(const json::value& a, const json::value& b);

/// on/true/yes/1 and off/false/no/0 in any case, bool or number; nothing otherwise.
std::optional<bool> parse_bool(const json::value& value);

/// A PostgreSQL size or time in `base_unit` ("B", "kB", "8kB", "MB", "ms", "s", "min" or empty for a plain number).
/// 0x… and 0… are hexadecimal and octal; a fraction is rounded to the next smaller unit.
/// See PostgreSQL, "Parameter Names and Values".
std::optional<double> parse_with_unit(std::string_view text, std::string_view base_unit);

/// The typed view of the dynamic configuration; wrong values fall back to the default with a line in `warnings`.
/// ttl from 3 s on is accepted, and loop_wait is at most a third of it; `patroni_members`: a Patroni >= 3.2 is in the
/// cluster, its floor of 20 s and its rule loop_wait + 2 * retry_timeout <= ttl then hold instead. A standby cluster
/// has no synchronous mode.
ClusterSettings settings_of(const json::object& dynamic, bool patroni_members, std::vector<std::string>& warnings);

/// Checks what an operator is about to store. Errors: invalid_input with the key, the value and what is allowed.
/// Unknown keys are kept, so they pass.
Result<> validate_dynamic(const json::object& dynamic);

/// One line for each unknown key that is nearly a known one, for whoever edits.
std::vector<std::string> misspelt_dynamic_keys(const json::object& dynamic);

}  // namespace pgkeel::config
