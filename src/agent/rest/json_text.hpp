#pragma once
#include <boost/json/value.hpp>

#include <string>

namespace pgkeel::agent::rest {

/// JSON with a blank after each comma and colon, as Patroni's answers have it: scripts look for `"role": "primary"` in
/// them.
std::string spaced_json(const boost::json::value& value);

/// JSON without blanks, as it is stored. Fractions keep the form people write (1.1, not 1.1E0).
std::string compact_json(const boost::json::value& value);

}  // namespace pgkeel::agent::rest
