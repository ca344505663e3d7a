#pragma once
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// PostgreSQL 15's configuration parameters: names, types, ranges. Pure; the table is made from a real server
// (guc_table.inc).

namespace pgkeel::postgres {

namespace json = boost::json;

enum class GucType { boolean, integer, real, text, enumeration };
enum class GucContext { internal, postmaster, sighup, superuser_backend, backend, superuser, user };

struct Guc {
    std::string_view name;  ///< as PostgreSQL spells it (DateStyle)
    GucType type = GucType::text;
    GucContext context = GucContext::user;
    std::string_view unit;    ///< "8kB", "ms", … or empty
    std::string_view boot;    ///< built-in default, in `unit`
    std::string_view values;  ///< enumeration: "a|b|c", hidden spellings included
    double min = 0, max = 0;  ///< integer and real, in `unit`
};

/// The parameter of that name in any case, or nullptr.
const Guc* find_guc(std::string_view name);

/// A configuration value as postgresql.conf would hold it, unquoted: true is "on", 5 is "5".
std::string guc_text(const json::value& value);

/// What PostgreSQL 15 will accept for `name`, or nothing (then a warning says why): unknown names without a dot,
/// internal ones and wrong enum values are dropped, numbers outside their range are clamped.
std::optional<std::string> valid_guc(std::string_view name, std::string_view value, std::vector<std::string>& warnings);

/// Equal for PostgreSQL: units, spellings of booleans, case of enums. `a_unit` is the unit of a plain number in `a`.
bool same_guc(const Guc& guc, std::string_view a, std::string_view b);

/// Runs a program or loads code: whoever may set it is the database's operating system user.
bool guc_runs_code(std::string_view name);

/// A value between quotes for postgresql.conf.
std::string quote_guc(std::string_view value);

}  // namespace pgkeel::postgres
