#pragma once
#include <string>

namespace pgkeel::cli {

/// The directory of the local cluster that a command is about: `given` (--dir), else the one that `pgkeel up` used
/// last, else the default. Absolute; nothing says that it exists.
std::string local_directory(const std::string& given);

inline constexpr const char* directory_help = "directory of the local cluster (default: that of the last `pgkeel up`)";

}  // namespace pgkeel::cli
