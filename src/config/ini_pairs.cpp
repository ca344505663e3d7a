#include "config/ini.hpp"

#include <fmt/format.h>

#include <algorithm>

// The values of [databases], [users] and [peers]: libpq's connection strings without backslashes. A value may be a
// password, and a word without its quotes may be the rest of one: so messages count pairs and quote nothing.

namespace pgkeel::config {
namespace {

constexpr std::string_view blank = " \t";

void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blank), text.size()));
}

/// Takes what stands between single quotes, '' for one of them; `text` begins with the quote.
bool take_quoted(std::string_view& text, std::string& value) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] != '\'') {
            value += text[i];
        } else if (text.substr(i + 1).starts_with('\'')) {
            value += text[++i];
        } else {
            text.remove_prefix(i + 1);
            return true;
        }
    }
    return false;
}

}  // namespace

Result<std::vector<IniPair>> parse_ini_pairs(std::string_view text) {
    std::vector<IniPair> pairs;
    constexpr const char* hint = "write key=value, and a value with blanks as key='a value', a quote in it twice";
    const auto wrong = [&](std::string_view what) {
        return fail(Errc::invalid_input, fmt::format("pair {} {}", pairs.size() + 1, what), hint);
    };
    for (skip_blanks(text); !text.empty(); skip_blanks(text)) {
        const auto key_end = std::min(text.find_first_of("= \t"), text.size());
        IniPair pair{.key = std::string(text.substr(0, key_end)), .value = {}};
        text.remove_prefix(key_end);
        skip_blanks(text);
        if (!text.starts_with('=')) return wrong("has no =");
        if (pair.key.empty()) return wrong("has no key");
        text.remove_prefix(1);
        skip_blanks(text);
        if (text.starts_with('\'')) {
            if (!take_quoted(text, pair.value)) return wrong("has a value whose quote does not end");
            if (!text.empty() && !blank.contains(text.front())) return wrong("goes on behind its quoted value");
        } else {
            const auto value_end = std::min(text.find_first_of(blank), text.size());
            if (value_end == 0) return wrong("has no value");
            pair.value = text.substr(0, value_end);
            text.remove_prefix(value_end);
        }
        pairs.push_back(std::move(pair));
    }
    return pairs;
}

std::string print_ini_pairs(const std::vector<IniPair>& pairs) {
    std::string out;
    for (const IniPair& pair : pairs) {
        if (!out.empty()) out += ' ';
        out += pair.key + '=';
        if (!pair.value.empty() && pair.value.find_first_of(" \t'") == std::string::npos) {
            out += pair.value;
            continue;
        }
        out += '\'';
        for (const char c : pair.value) {
            if (c == '\'') out += c;
            out += c;
        }
        out += '\'';
    }
    return out;
}

}  // namespace pgkeel::config
