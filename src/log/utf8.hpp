#pragma once
#include <cstddef>
#include <string_view>

namespace pgkeel {

/// Length in bytes of the UTF-8 character at the front of `text`; 0 when there is none. See RFC 3629, section 4.
std::size_t utf8_length(std::string_view text);

}  // namespace pgkeel
