#include "console/tokens.hpp"

#include <optional>

namespace pgkeel::console {
namespace {

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '.' ||
           c == '+' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

/// Takes a comment off the front of `rest`, which begins with one. Those in /* */ nest, as in PostgreSQL.
bool take_comment(std::string_view& rest) {
    if (rest.starts_with("--")) {
        const std::size_t end = rest.find_first_of("\r\n");
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
        return true;
    }
    std::size_t depth = 0;
    while (!rest.empty()) {
        if (rest.starts_with("/*")) {
            ++depth;
            rest.remove_prefix(2);
        } else if (rest.starts_with("*/")) {
            rest.remove_prefix(2);
            if (--depth == 0) return true;
        } else {
            rest.remove_prefix(1);
        }
    }
    return false;
}

/// The inside of the quotes that `rest` begins with; nothing when they do not end.
std::optional<std::string> take_quoted(std::string_view& rest) {
    const char quote = rest.front();
    std::string inside;
    for (std::size_t at = 1; at < rest.size(); ++at) {
        if (rest[at] == quote) {
            if (at + 1 == rest.size() || rest[at + 1] != quote) {
                rest.remove_prefix(at + 1);
                return inside;
            }
            ++at;
        }
        inside += rest[at];
    }
    return std::nullopt;
}

std::string_view take_word(std::string_view& rest) {
    std::size_t end = 0;
    while (end < rest.size() && is_word(rest[end]) && !rest.substr(end).starts_with("--")) ++end;
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end);
    return word;
}

}  // namespace

Result<std::vector<Token>> tokens(std::string_view sql) {
    std::vector<Token> found;
    while (!sql.empty()) {
        const char first = sql.front();
        if (is_blank(first)) {
            sql.remove_prefix(1);
        } else if (sql.starts_with("--") || sql.starts_with("/*")) {
            if (!take_comment(sql)) return fail(Errc::invalid_input, "a comment does not end");
        } else if (first == '"' || first == '\'') {
            auto inside = take_quoted(sql);
            if (!inside) return fail(Errc::invalid_input, "a quote does not end");
            found.push_back({first == '"' ? Token::Kind::name : Token::Kind::text, std::move(*inside)});
        } else if (is_word(first)) {
            const std::string_view word = take_word(sql);
            const bool parameter = word.size() > 1 && first == '$' && is_digit(word[1]);
            found.push_back({parameter ? Token::Kind::parameter : Token::Kind::word, std::string(word)});
        } else {
            found.push_back({Token::Kind::sign, std::string(1, first)});
            sql.remove_prefix(1);
        }
    }
    return found;
}

}  // namespace pgkeel::console
