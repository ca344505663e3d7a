#pragma once
#include "auth/secret_text.hpp"
#include "base/result.hpp"

#include <array>
#include <string_view>

// PostgreSQL's md5 method: weak, but still spoken by old clients and servers. See PostgreSQL, "Message Flow", Start-up.

namespace pgkeel::auth {

using Md5Salt = std::array<char, 4>;

/// How PostgreSQL stores it: "md5" and 32 digits, of password and user name. Errors: unavailable (FIPS).
Result<SecretText> md5_stored(std::string_view password, std::string_view user);

/// What a client sends: "md5" and 32 digits, of the stored digits and the salt. `stored` begins with "md5".
/// Errors: unavailable (FIPS), invalid_input when `stored` is not an md5 hash.
Result<SecretText> md5_response(std::string_view stored, Md5Salt salt);

/// "md5" and 32 lower case hexadecimal digits.
bool is_md5(std::string_view stored);

/// Four random bytes for one login. Errors: unavailable.
Result<Md5Salt> fresh_md5_salt();

}  // namespace pgkeel::auth
