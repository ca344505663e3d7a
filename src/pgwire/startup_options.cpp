#include "pgwire/startup_options.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::pgwire {
namespace {

/// isspace() of the C locale.
bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Leaves the backslashes of the text alone, so that an error shows what was sent.
Result<Parameter> parse_setting(std::string_view setting) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return fail(Errc::invalid_input, fmt::format("startup options: '{}' needs a name and a value", setting),
                    "write it as -c name=value");
    Parameter out{std::string(setting.substr(0, equals)), std::string(setting.substr(equals + 1))};
    std::ranges::replace(out.name, '-', '_');
    return out;
}

}  // namespace

std::vector<std::string> split_options(std::string_view options) {
    std::vector<std::string> words;
    std::size_t at = 0;
    while (true) {
        while (at < options.size() && is_space(options[at])) ++at;
        if (at == options.size()) return words;
        std::string word;
        for (; at < options.size() && !is_space(options[at]); ++at) {
            if (options[at] == '\\') {
                if (++at == options.size()) break;
            }
            word += options[at];
        }
        words.push_back(std::move(word));
    }
}

Result<std::vector<Parameter>> parse_options(std::string_view options) {
    const std::vector<std::string> words = split_options(options);
    std::vector<Parameter> settings;
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string_view word = words[i];
        if (word == "-c") {
            if (++i == words.size())
                return fail(Errc::invalid_input, "startup options: nothing follows '-c'", "write it as -c name=value");
            word = words[i];
        } else if (word.starts_with("-c") || (word.starts_with("--") && word.size() > 2)) {
            word.remove_prefix(2);
        } else {
            return fail(Errc::invalid_input,
                        "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed");
        }
        auto setting = parse_setting(word);
        if (!setting) return std::unexpected(std::move(setting.error()));
        settings.push_back(std::move(*setting));
    }
    return settings;
}

std::string join_options(std::span<const Parameter> settings) {
    std::string out;
    for (const Parameter& setting : settings) {
        out += out.empty() ? "-c " : " -c ";
        for (const std::string_view part :
             {std::string_view(setting.name), std::string_view("="), std::string_view(setting.value)})
            for (const char c : part) {
                if (is_space(c) || c == '\\') out += '\\';
                out += c;
            }
    }
    return out;
}

}  // namespace pgkeel::pgwire
