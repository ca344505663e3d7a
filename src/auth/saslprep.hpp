#pragma once
#include "auth/secret_text.hpp"

#include <string_view>

namespace pgkeel::auth {

/// A password as SCRAM hashes it: normalised by SASLprep (RFC 4013), so that one password typed on two systems is one
/// password. It follows PostgreSQL where that differs: ASCII is left alone; characters are judged before they are
/// normalised; what is not UTF-8, has forbidden or (to Unicode 3.2) unknown characters, mixes directions of writing or
/// would become empty, is used as it is. See PostgreSQL, "SASL Authentication".
SecretText saslprep(std::string_view password);

}  // namespace pgkeel::auth
