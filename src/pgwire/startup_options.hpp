#pragma once
#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

// The startup parameter `options`: command-line switches for the server process, of which poolers take the settings.

namespace pgkeel::pgwire {

struct Parameter {
    std::string name;
    std::string value;
    bool operator==(const Parameter&) const = default;
};

/// Splits at white space as the server does (pg_split_opts in its source): a backslash makes the next character part of
/// the word, and one at the very end counts for nothing.
std::vector<std::string> split_options(std::string_view options);

/// The settings in `-c name=value`, `-cname=value` and `--name=value`; in a name '-' means '_'. Refuses every other
/// switch.
Result<std::vector<Parameter>> parse_options(std::string_view options);

/// The text that parse_options reads as these settings, for a StartupMessage of ours.
std::string join_options(std::span<const Parameter> settings);

}  // namespace pgkeel::pgwire
