#pragma once
#include "console/table.hpp"

#include <string>

namespace pgkeel::console {

/// A value in the binary format of its type (PostgreSQL: int4send, int8send, numeric_send, textsend). What does not
/// fit into the type is sent as the nearest value that does.
std::string binary_value(Type type, const std::string& text);

}  // namespace pgkeel::console
