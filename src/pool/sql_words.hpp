#pragma once
#include <cstddef>
#include <string>
#include <string_view>

// SQL cut into words, as PostgreSQL's scanner does it (PostgreSQL, "Lexical Structure"). It allocates nothing, takes
// any bytes, and does not judge: whether it is SQL, the server will say.

namespace pgkeel::pool {

struct SqlWord {
    enum class Kind {
        end,     ///< of the text; also of one whose last quote or comment is not closed
        name,    ///< a keyword or an identifier
        quoted,  ///< "an identifier"
        text,    ///< a literal in quotes or dollar quotes
        number,
        parameter,  ///< $1
        symbol,     ///< one character of anything else
    };
    Kind kind = Kind::end;
    std::string_view raw;  ///< as it was written, with its quotes

    bool is(char symbol) const { return kind == Kind::symbol && raw[0] == symbol; }
    /// An unquoted name; `lower` is in lower case.
    bool is(std::string_view lower) const;
    bool is_name() const { return kind == Kind::name || kind == Kind::quoted; }
};

class SqlWords {
  public:
    /// Takes backslashes in plain literals for backslashes: standard_conforming_strings is on.
    explicit SqlWords(std::string_view sql) : rest_(sql) {}
    SqlWord next();
    /// What was not read yet.
    std::string_view rest() const { return rest_; }

  private:
    void skip_space();
    SqlWord take(SqlWord::Kind kind, std::size_t size);
    SqlWord literal(std::size_t prefix, bool backslashes);
    SqlWord dollar();

    std::string_view rest_;
};

/// What a name stands for: in lower case if it is not quoted.
std::string name_of(const SqlWord& word);
/// The text that a literal stands for. False: it has escapes, or is no ordinary text.
bool text_of(const SqlWord& word, std::string& text);
/// A literal's text without its quotes, as it was written.
std::string_view between_quotes(const SqlWord& word);

}  // namespace pgkeel::pool
