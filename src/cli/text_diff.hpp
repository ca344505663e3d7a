#pragma once
#include <string>
#include <string_view>

namespace pgkeel::cli {

/// What changed between two texts as `diff -u` shows it, without the file names: "@@" heads, three lines of context.
/// Empty: nothing.
std::string unified_diff(std::string_view before, std::string_view after);

/// The same with additions in green and removals in red where standard output takes colours.
std::string coloured_diff(std::string_view diff);

}  // namespace pgkeel::cli
