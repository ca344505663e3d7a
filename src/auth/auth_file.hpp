#pragma once
#include "auth/secret.hpp"
#include "base/result.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace pgkeel::auth {

/// User names with their secrets.
using Users = std::map<std::string, Secret, std::less<>>;

/// Reads PgBouncer's auth_file (userlist.txt): lines of `"user" "secret"` whose rest is ignored, `""` for a quote
/// inside, comments after `;` or `#` at the begin of a line. The last line about a user holds. `name`: of the file, for
/// errors. Errors: invalid_input, with the line's number and nothing of what stands there but a user name.
Result<Users> parse_auth_file(std::string_view text, std::string_view name);

/// One line of such a file, with its line end.
SecretText auth_file_line(std::string_view user, const Secret& secret);

}  // namespace pgkeel::auth
