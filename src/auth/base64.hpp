#pragma once
#include "auth/secret_text.hpp"

#include <optional>
#include <string_view>

namespace pgkeel::auth {

/// Secret texts, because keys pass through here.
SecretText base64_encode(std::string_view bytes);

/// RFC 4648 to the letter: padded, no white space, and unused bits are zero, so every value has one spelling only.
std::optional<SecretText> base64_decode(std::string_view text);

}  // namespace pgkeel::auth
