#pragma once
#include "base/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

// The grammar of pgbouncer.ini, as pure text: what stands where. What a key means is somebody else's business.

namespace pgkeel::config {

/// A mistake, or a doubt, in a file that was read.
struct Problem {
    std::string where;  ///< "pgbouncer.ini:12", or "proxy.yml:12:3"
    std::string text;   ///< never holds a value that may be secret
    std::string hint;
    bool tolerated = false;  ///< PgBouncer starts with it, so it is no reason to refuse a pgbouncer.ini
    /// "where: text (hint)"
    std::string line() const;
};

struct IniEntry {
    std::string key;
    std::string value;  ///< to the end of the line, blanks around it cut; quotes are part of it
    std::string where;
};

struct IniSection {
    std::string name;
    std::string where;
    std::vector<IniEntry> entries;
};

struct Ini {
    std::vector<IniSection> sections;  ///< in the order of their headers; a name may come twice
    std::vector<Problem> problems;
};

/// Reads the file of an `%include`; the path is as written, so a relative one counts from the working directory.
using ReadIniFile = std::function<Result<std::string>(const std::string& path)>;

/// `[section]`, `key = value`, whole lines of comment behind `;` or `#`, `%include path`. A key with other signs than
/// letters, digits and `_.-*` stands in single quotes, as PgBouncer reads it, or in double ones, as its manual says.
/// An included file goes on in the section where it is named, and the section it ends in stays. Every line that is
/// none of these is one problem. Includes are at most 10 deep, 1000 files and 16 MiB together, and never in a circle.
Ini parse_ini(std::string_view text, const std::string& name, const ReadIniFile& read);

/// `key=value` pairs of a line in [databases], [users] or [peers].
struct IniPair {
    std::string key;
    std::string value;
    bool operator==(const IniPair&) const = default;
};

/// `host=10.0.0.1 password='it''s' port = 5432`. Errors: invalid_input — which pair, by its number; no value is
/// repeated.
Result<std::vector<IniPair>> parse_ini_pairs(std::string_view text);

/// What `parse_ini_pairs` reads back to the same.
std::string print_ini_pairs(const std::vector<IniPair>& pairs);

/// A key as it is written in a file: in quotes where it must be.
std::string print_ini_key(std::string_view key);

}  // namespace pgkeel::config
