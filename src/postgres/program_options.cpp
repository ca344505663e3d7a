#include "postgres/program_options.hpp"

#include "postgres/guc.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::postgres {

std::vector<std::string> program_options(const boost::json::value* options, std::string_view program,
                                         std::initializer_list<std::string_view> forbidden,
                                         std::vector<std::string>& warnings) {
    std::vector<std::string> arguments;
    const auto add = [&](std::string_view name, const boost::json::value* value) {
        while (name.starts_with('-')) name.remove_prefix(1);
        std::string text = value != nullptr && !value->is_null() ? guc_text(*value) : std::string();
        // A list may hold `name=value` as one text.
        std::string_view bare = name.substr(0, name.find('='));
        if (bare.empty() || std::ranges::find(forbidden, bare) != forbidden.end()) {
            warnings.push_back(fmt::format("option {} of {} cannot be set, dropped", bare, program));
            return;
        }
        arguments.push_back(value == nullptr || value->is_null() ? fmt::format("--{}", name)
                                                                 : fmt::format("--{}={}", name, text));
    };
    if (options == nullptr) return arguments;
    if (options->is_object()) {
        for (const auto& [name, value] : options->get_object()) add(name, &value);
    } else if (options->is_array()) {
        for (const boost::json::value& option : options->get_array()) {
            if (option.is_object()) {
                for (const auto& [name, value] : option.get_object()) add(name, &value);
            } else if (option.is_string()) {
                add(std::string_view(option.get_string()), nullptr);
            } else {
                warnings.push_back(fmt::format("an option of {} is neither a name nor a pair, dropped", program));
            }
        }
    } else if (!options->is_null()) {
        warnings.push_back(fmt::format("the options of {} are neither a list nor a map, dropped", program));
    }
    return arguments;
}

std::string argument_text(const boost::json::value& value) {
    if (value.is_bool()) return value.get_bool() ? "True" : "False";
    return guc_text(value);
}

}  // namespace pgkeel::postgres
