#pragma once
#include "base/result.hpp"

#include <string>

namespace pgkeel::cli {

/// The content of a file an operator named; "-" is standard input. Errors: io_error.
Result<std::string> read_text(const std::string& path);

}  // namespace pgkeel::cli
