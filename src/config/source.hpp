#pragma once
#include "base/result.hpp"
#include "config/agent_config.hpp"
#include "config/yaml.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pgkeel::config {

/// What was written for a node, all files and variables merged, and where each key came from.
struct Source {
    std::string name;  ///< for messages about what is nowhere
    json::object values;
    Places places;
    std::vector<std::string> warnings;

    /// "patroni.yml:3:1", of the key or of the nearest section around it.
    std::string place(std::string path) const;
};

/// Errors: io_error, with the path and the cause.
Result<std::string> read_file(const std::string& path);

/// What to say of a file that holds passwords; nothing when it is closed to others.
std::optional<std::string> everybody_can_read(const std::string& path);

/// As `load_agent_config` describes. Errors: io_error, invalid_input.
Result<Source> read_source(const std::string& path, const Environment& environment);

/// Puts the PATRONI_* variables that Patroni knows over `source`.
Result<> apply_environment(const Environment& environment, Source& source);

}  // namespace pgkeel::config
