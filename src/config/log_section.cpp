#include "config/sections.hpp"
#include "log/pattern.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <map>

namespace pgkeel::config {
namespace {

log::Level level_of(const std::string& word) {
    static const std::map<std::string, log::Level> levels{
        {"debug", log::Level::debug},       {"info", log::Level::info},   {"warn", log::Level::warning},
        {"warning", log::Level::warning},   {"error", log::Level::error}, {"fatal", log::Level::critical},
        {"critical", log::Level::critical},
    };
    const auto found = levels.find(word);
    return found == levels.end() ? log::Level::info : found->second;
}

/// [message, {levelname: level}]: fields, some under other names.
std::vector<std::pair<std::string, std::string>> fields_of(const json::array& written, Findings& findings) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](std::string name, std::string shown_as) {
        if (auto known = log::field_named(name))
            out.emplace_back(std::move(name), std::move(shown_as));
        else
            findings.warn("log.format", known.error().text, known.error().hint);
    };
    for (const auto& element : written) {
        if (const auto* pairs = element.if_object()) {
            for (const auto& member : *pairs)
                if (const auto text = scalar_text(member.value())) add(std::string(member.key()), *text);
        } else if (const auto name = scalar_text(element)) {
            add(*name, *name);
        }
    }
    return out;
}

}  // namespace

/// A log that is not quite as asked for is no reason to leave a database without its agent: everything here is a
/// warning.
log::Options read_log(const View& view, Findings& findings) {
    log::Options out;
    out.json = view.choice("log.type") == "json";
    out.level = level_of(view.choice("log.level"));
    out.date_format = view.text("log.dateformat");
    out.directory = view.text("log.dir");
    out.file_count = static_cast<int>(view.number("log.file_num"));
    out.file_size_bytes = static_cast<std::size_t>(view.number("log.file_size"));
    out.file_mode = static_cast<int>(view.number("log.mode"));
    const json::object log = view.object("log");
    const auto* format = log.if_contains("format");
    if (format != nullptr && format->is_array()) {
        if (out.json)
            out.json_fields = fields_of(format->get_array(), findings);
        else
            findings.warn("log.format", "is a list, which only type json knows; taking the default");
    } else if (const auto text = format != nullptr ? scalar_text(*format) : std::nullopt) {
        if (auto pattern = log::Pattern::compile(*text, ""))
            out.format = *text;
        else
            findings.warn("log.format", pattern.error().text + "; taking the default", pattern.error().hint);
    }
    for (const auto& member : view.object("log.static_fields"))
        out.static_fields.emplace_back(std::string(member.key()), json::serialize(member.value()));
    return out;
}

}  // namespace pgkeel::config
