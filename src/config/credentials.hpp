#pragma once
#include "config/agent_config.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

// Passwords that `pgkeel rotate-credentials` has set (docs/decisions/0012-rotation.md). They are kept in a file of the
// agent's own beside its configuration, which is the operator's.

namespace pgkeel::config {

/// What the file says of one role of PostgreSQL.
struct RotatedPassword {
    std::string password;
    std::string other;     ///< while a rotation is under way: for when the server refuses the first; else empty
    std::string replaces;  ///< SCRAM verifier of the password that the configuration had then
};

struct RotatedCredentials {
    std::string rotation;   ///< id of the one that is under way; empty: none is
    bool switched = false;  ///< of it: the new passwords come first, because the primary has them
    std::map<std::string, RotatedPassword> roles;

    bool under_way() const { return !rotation.empty(); }
};

/// Errors: invalid_input — it is not what `write_credentials` writes.
Result<RotatedCredentials> parse_credentials(std::string_view text, const std::string& path);
std::string write_credentials(const RotatedCredentials& credentials);

/// Empty when there is no such file. Errors: io_error, and as above.
Result<RotatedCredentials> load_credentials(const std::string& path);

/// Where they are kept for the configuration at `path`: what pgkeel.credentials_file names, else beside it. Empty: the
/// configuration is no file, and names none.
std::string credentials_path(const std::string& path, const std::string& named);

/// The entry holds while the configuration still has the password that it replaced, or one that it has itself; after
/// any other change there the operator's word counts.
bool still_holds(const RotatedPassword& entry, const std::string& configured);

/// Puts them over the passwords of the configuration; `warnings` (or null) gets those that do not hold any more.
void apply_credentials(const RotatedCredentials& credentials, const std::string& path, Postgresql& postgresql,
                       std::vector<std::string>* warnings);

}  // namespace pgkeel::config
