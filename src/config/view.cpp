#include "config/view.hpp"

#include "config/dynamic_config.hpp"

#include <algorithm>

namespace pgkeel::config {

std::vector<std::string> split_commas(std::string_view text) {
    std::vector<std::string> out;
    while (true) {
        const auto comma = std::min(text.find(','), text.size());
        const std::string_view part = text.substr(0, comma);
        const auto first = part.find_first_not_of(" \t\n");
        if (first != std::string_view::npos)
            out.emplace_back(part.substr(first, part.find_last_not_of(" \t\n") - first + 1));
        if (comma == text.size()) return out;
        text.remove_prefix(comma + 1);
    }
}

namespace {
const Option* option_of(std::string_view path) {
    constexpr std::string_view own = "pgkeel.";
    return path.starts_with(own) ? find_option(pgkeel_options(), path.substr(own.size()))
                                 : find_option(agent_options(), path);
}
}  // namespace

json::value View::allowed(std::string_view path) const {
    const Option* option = option_of(path);
    if (const auto* value = find_value(values_, path))
        if (option == nullptr || check_value(*option, *value)) return *value;
    return option == nullptr || option->default_value.empty() ? json::value()
                                                              : json::value(json::string(option->default_value));
}

std::string View::text(std::string_view path) const {
    return scalar_text(allowed(path)).value_or("");
}

std::string View::choice(std::string_view path) const {
    const json::value value = allowed(path);
    if (const auto flag = parse_bool(value)) return *flag ? "on" : "off";
    std::string word = scalar_text(value).value_or("");
    std::ranges::transform(word, word.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return word;
}

bool View::flag(std::string_view path) const {
    return parse_bool(allowed(path)).value_or(false);
}

std::int64_t View::number(std::string_view path) const {
    const Option* option = option_of(path);
    return whole_number(allowed(path), option == nullptr ? "" : option->unit).value_or(0);
}

std::vector<std::string> View::list(std::string_view path) const {
    const json::value value = allowed(path);
    return value.is_array() ? lines(path) : split_commas(scalar_text(value).value_or(""));
}

std::vector<std::string> View::lines(std::string_view path) const {
    const json::value value = allowed(path);
    std::vector<std::string> out;
    if (const auto* array = value.if_array()) {
        for (const auto& element : *array)
            if (const auto text = scalar_text(element)) out.push_back(*text);
    } else if (const auto text = scalar_text(value); text && !text->empty()) {
        out.push_back(*text);
    }
    return out;
}

std::map<std::string, std::string> View::map(std::string_view path) const {
    std::map<std::string, std::string> out;
    const json::value value = allowed(path);
    if (const auto* object = value.if_object())
        for (const auto& member : *object)
            if (const auto text = scalar_text(member.value())) out.emplace(std::string(member.key()), *text);
    return out;
}

json::object View::object(std::string_view path) const {
    const auto* value = find_value(values_, path);
    const auto* object = value == nullptr ? nullptr : value->if_object();
    return object == nullptr ? json::object() : *object;
}

}  // namespace pgkeel::config
