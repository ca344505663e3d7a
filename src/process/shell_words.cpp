#include "process/child.hpp"

#include <fmt/format.h>

namespace pgkeel {

// See POSIX, "Shell Command Language", 2.2 Quoting.
Result<std::vector<std::string>> split_shell_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;  // '' is a word without a character
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote == '\'') {
            if (c == '\'')
                quote = 0;
            else
                word += c;
        } else if (c == '\\') {
            if (++i == line.size())
                return fail(Errc::invalid_input, fmt::format("cannot split '{}': it ends in a backslash", line));
            // Inside "…" a backslash is itself, except before these.
            const bool escapes = quote == 0 || std::string_view("$`\"\\\n").contains(line[i]);
            if (!escapes) word += '\\';
            if (!(escapes && line[i] == '\n')) word += line[i];
            in_word = in_word || line[i] != '\n' || !escapes;
        } else if (quote == '"') {
            if (c == '"')
                quote = 0;
            else
                word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            if (in_word) words.push_back(std::move(word));
            word.clear();
            in_word = false;
        } else {
            word += c;
            in_word = true;
        }
    }
    if (quote != 0)
        return fail(Errc::invalid_input, fmt::format("cannot split '{}': a quote ({}) is not closed", line, quote));
    if (in_word) words.push_back(std::move(word));
    return words;
}

}  // namespace pgkeel
