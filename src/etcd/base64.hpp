#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::etcd {

// The gateway carries keys and values as base64 (RFC 4648, section 4, with padding).

std::string encode_base64(std::string_view bytes);
/// Nothing when `text` is not base64.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace pgkeel::etcd
