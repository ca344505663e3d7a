#pragma once
#include "base/result.hpp"

#include <boost/json/value.hpp>

#include <map>
#include <string>
#include <string_view>

namespace pgkeel::config {

/// Where each key was written: "restapi.listen" → "patroni.yml:12:3"; list elements as "tags.x[0]". For messages.
using Places = std::map<std::string, std::string>;

/// YAML to JSON with YAML 1.1's plain scalars as Patroni (PyYAML) reads them: yes/no/on/off are booleans, 010 is octal,
/// quoted is text; keys are always text. `<<` merges, as PyYAML does it. `places`, when given, learns where each key
/// stands. Errors (invalid_input): syntax, duplicate key, depth over 64, more than 1 MiB, aliases that multiply beyond
/// reason, a second document; each with `where`:line:column, counted from 1.
Result<boost::json::value> parse_yaml(std::string_view text, const std::string& where, Places* places = nullptr);

/// JSON as YAML for people (show-config, edit-config, generated files); strings quoted only where they must be.
std::string to_yaml(const boost::json::value& value);

/// What an unquoted YAML 1.1 word means: a number, a boolean, null, or itself as text.
boost::json::value plain_scalar(std::string_view text);

}  // namespace pgkeel::config
