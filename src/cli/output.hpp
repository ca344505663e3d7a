#pragma once
#include "base/result.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::cli {

enum class Format { table, json, yaml, tsv };

/// "pretty" (patronictl's word for table), "table", "json", "yaml" or "yml", "tsv". Errors: invalid_input.
Result<Format> parse_format(std::string_view text);

/// For programs: JSON with an indent of two, or YAML; ends with a line feed.
std::string render(const boost::json::value& value, Format format);

/// Objects as lines of tab-separated values below a line with `columns`, their keys. Tabs and line feeds in a value
/// become blanks.
std::string render_tsv(const std::vector<std::string>& columns, const boost::json::array& records);

}  // namespace pgkeel::cli
