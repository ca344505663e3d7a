#include "pool/sql_words.hpp"

#include <algorithm>

namespace pgkeel::pool {
namespace {

char folded(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Bytes of any other alphabet are letters.
bool begins_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t size_of_run(std::string_view text, std::size_t from, auto belongs) {
    while (from < text.size() && belongs(text[from])) ++from;
    return from;
}

/// Comments nest. The size of the whole text when it is not closed.
std::size_t size_of_comment(std::string_view text) {
    std::size_t depth = 1, i = 2;
    while (i < text.size() && depth > 0) {
        if (text.substr(i).starts_with("/*")) {
            ++depth;
            i += 2;
        } else if (text.substr(i).starts_with("*/")) {
            --depth;
            i += 2;
        } else {
            ++i;
        }
    }
    return i;
}

}  // namespace

bool SqlWord::is(std::string_view lower) const {
    return kind == Kind::name && std::ranges::equal(raw, lower, {}, folded);
}

SqlWord SqlWords::take(SqlWord::Kind kind, std::size_t size) {
    const SqlWord word{kind, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return word;
}

void SqlWords::skip_space() {
    for (;;) {
        rest_.remove_prefix(size_of_run(rest_, 0, is_space));
        if (rest_.starts_with("--"))
            rest_.remove_prefix(std::min(rest_.find_first_of("\r\n"), rest_.size()));
        else if (rest_.starts_with("/*"))
            rest_.remove_prefix(size_of_comment(rest_));
        else
            return;
    }
}

SqlWord SqlWords::next() {
    skip_space();
    if (rest_.empty()) return {};
    const char first = rest_[0];
    const char second = rest_.size() > 1 ? rest_[1] : '\0';
    if (first == '\'' || first == '"') return literal(0, false);
    if (second == '\'') {
        switch (folded(first)) {
            case 'e':
                return literal(1, true);
            case 'b':
            case 'n':
            case 'x':
                return literal(1, false);
            default:
                break;
        }
    }
    if (folded(first) == 'u' && second == '&' && rest_.size() > 2 && (rest_[2] == '\'' || rest_[2] == '"'))
        return literal(2, false);
    if (begins_name(first)) {
        const auto belongs = [](char c) { return begins_name(c) || is_digit(c) || c == '$'; };
        return take(SqlWord::Kind::name, size_of_run(rest_, 1, belongs));
    }
    if (is_digit(first)) {
        std::size_t size = size_of_run(rest_, 1, is_digit);
        if (size < rest_.size() && rest_[size] == '.') size = size_of_run(rest_, size + 1, is_digit);
        if (size < rest_.size() && folded(rest_[size]) == 'e') {
            std::size_t exponent = size + 1;
            if (exponent < rest_.size() && (rest_[exponent] == '+' || rest_[exponent] == '-')) ++exponent;
            const std::size_t end = size_of_run(rest_, exponent, is_digit);
            if (end > exponent) size = end;
        }
        return take(SqlWord::Kind::number, size);
    }
    if (first == '$')
        return is_digit(second) ? take(SqlWord::Kind::parameter, size_of_run(rest_, 1, is_digit)) : dollar();
    return take(SqlWord::Kind::symbol, 1);
}

/// \param prefix  bytes before the quote
SqlWord SqlWords::literal(std::size_t prefix, bool backslashes) {
    const char quote = rest_[prefix];
    for (std::size_t i = prefix + 1; i < rest_.size(); ++i) {
        if (backslashes && rest_[i] == '\\') {
            ++i;
        } else if (rest_[i] == quote) {
            if (i + 1 < rest_.size() && rest_[i + 1] == quote)
                ++i;
            else
                return take(quote == '"' ? SqlWord::Kind::quoted : SqlWord::Kind::text, i + 1);
        }
    }
    return take(SqlWord::Kind::end, rest_.size());
}

SqlWord SqlWords::dollar() {
    const auto belongs = [](char c) { return begins_name(c) || is_digit(c); };
    const std::size_t size = size_of_run(rest_, 1, belongs);
    if (size >= rest_.size() || rest_[size] != '$') return take(SqlWord::Kind::symbol, 1);
    const std::string_view tag = rest_.substr(0, size + 1);
    const auto end = rest_.find(tag, tag.size());
    if (end == std::string_view::npos) return take(SqlWord::Kind::end, rest_.size());
    return take(SqlWord::Kind::text, end + tag.size());
}

std::string_view between_quotes(const SqlWord& word) {
    std::string_view raw = word.raw;
    if (raw.starts_with('$')) {
        const std::size_t tag = raw.find('$', 1) + 1;
        return raw.substr(tag, raw.size() - 2 * tag);
    }
    raw.remove_prefix(raw.find(word.kind == SqlWord::Kind::quoted ? '"' : '\'') + 1);
    raw.remove_suffix(1);
    return raw;
}

std::string name_of(const SqlWord& word) {
    std::string name;
    if (word.kind == SqlWord::Kind::name) {
        std::ranges::transform(word.raw, std::back_inserter(name), folded);
        return name;
    }
    const std::string_view inside = between_quotes(word);
    for (std::size_t i = 0; i < inside.size(); ++i) {
        name += inside[i];
        if (inside[i] == '"') ++i;
    }
    return name;
}

bool text_of(const SqlWord& word, std::string& text) {
    if (word.kind != SqlWord::Kind::text) return false;
    const std::string_view inside = between_quotes(word);
    text.clear();
    if (word.raw.starts_with('$')) {
        text = inside;
        return true;
    }
    const bool escapes = folded(word.raw[0]) == 'e';
    if (word.raw[0] != '\'' && !escapes) return false;
    if (escapes && inside.contains('\\')) return false;
    for (std::size_t i = 0; i < inside.size(); ++i) {
        text += inside[i];
        if (inside[i] == '\'') ++i;
    }
    return true;
}

}  // namespace pgkeel::pool
