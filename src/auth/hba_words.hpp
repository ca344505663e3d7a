#pragma once
#include "base/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::auth {

/// A word of pg_hba.conf or pg_ident.conf. In one that begins with a quote nothing has a special meaning.
struct HbaWord {
    std::string text;
    bool quoted = false;

    bool is(std::string_view keyword) const { return !quoted && text == keyword; }
};

/// Words that commas join.
using HbaField = std::vector<HbaWord>;

struct HbaLine {
    std::string file;
    unsigned number = 0;  ///< from 1; of the first line, where a backslash continues it
    std::vector<HbaField> fields;

    /// `pg_hba.conf line 7`, for errors.
    std::string where() const;
};

/// The text of a file that is named in another one. The caller decides which files may be read, and how large.
using ReadFile = std::function<Result<std::string>(const std::string& path)>;

/// Cuts the text into fields, as PostgreSQL's manual tells ("The pg_hba.conf File"): separated by blanks, words joined
/// by commas, "quotes" with a doubled quote inside, `#` begins a comment, a backslash at the end continues a line. The
/// word
/// @NAME stands for the words of the file NAME, relative to the folder of `file`. Lines without fields are left out.
/// Errors: invalid_input, with file, line and word; what `read` fails with.
Result<std::vector<HbaLine>> read_hba_lines(std::string_view text, const std::string& file, const ReadFile& read);

}  // namespace pgkeel::auth
