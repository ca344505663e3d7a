#pragma once
#include "base/result.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pgkeel::cli {

/// What an operator wants changed in the dynamic configuration. Applied in this order, to whatever the configuration is
/// then: a lost race is answered by applying it again to what is stored now.
struct ConfigChange {
    std::optional<boost::json::object> replacement;  ///< --replace, or what came out of the editor
    std::optional<boost::json::object> patch;        ///< --apply: null deletes a key
    std::vector<std::pair<std::string, boost::json::value>>
        settings;  ///< -s and -p: dotted path and value; null deletes

    bool empty() const { return !replacement && !patch && settings.empty(); }
    boost::json::object apply_to(boost::json::object config) const;
};

/// "ttl=20": the value is YAML. Names below postgresql.parameters may hold dots themselves. Errors: invalid_input.
Result<std::pair<std::string, boost::json::value>> parse_setting(const std::string& text);

/// YAML text of a whole configuration. Errors: invalid_input — not YAML, or no mapping.
Result<boost::json::object> parse_config_text(const std::string& text, const std::string& where);

/// What turns `before` into `after`, as a patch.
boost::json::object difference(const boost::json::object& before, const boost::json::object& after);

}  // namespace pgkeel::cli
