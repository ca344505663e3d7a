#pragma once
#include "auth/hba_words.hpp"
#include "base/result.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::auth {

/// pg_ident.conf: which name of the system (peer) or of a certificate (cert) may log in as which user. Lines of
/// `map system-name database-user`. A system name /REGEX is searched for in the name (write ^ and $), and \1 in the
/// database user stands for its first group; the database user `all` is every user. See PostgreSQL, "User Name Maps".
/// The expressions are ECMAScript's without back references, so that no name makes them run for ever.
class IdentMaps {
  public:
    IdentMaps();
    IdentMaps(IdentMaps&&) noexcept;
    IdentMaps& operator=(IdentMaps&&) noexcept;
    ~IdentMaps();

    /// `read` serves @file. Errors: invalid_input, naming file, line and word; what `read` fails with.
    static Result<IdentMaps> parse(std::string_view text, const std::string& file, const ReadFile& read);

    /// Without a map the two names must be equal. A map that does not exist lets nobody in.
    bool allows(std::string_view map, std::string_view system_name, std::string_view database_user) const;
    bool has(std::string_view map) const;

  private:
    struct Entry;
    std::vector<Entry> entries_;
};

}  // namespace pgkeel::auth
