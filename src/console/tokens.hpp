#pragma once
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::console {

/// What the text of a Query consists of, without blanks and comments.
struct Token {
    enum class Kind {
        word,       ///< letters, digits and _ $ . + -, and what is no ASCII; as written: PgBouncer folds no names
        name,       ///< "quoted", a doubled quote standing for one
        text,       ///< 'quoted', likewise
        sign,       ///< one character that is nothing else: = ; , *
        parameter,  ///< $1
    };
    Kind kind = Kind::word;
    std::string value;

    bool is_sign(char sign) const { return kind == Kind::sign && value.front() == sign; }
};

/// Errors: invalid_input — a quote or a comment that does not end.
Result<std::vector<Token>> tokens(std::string_view sql);

}  // namespace pgkeel::console
