#include "log/line.hpp"

#include "log/pgbouncer_line.hpp"
#include "log/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::log {
namespace {

std::string json_string(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text.front());
        std::size_t length = 1;
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += text.front();
        } else if (byte == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\u{:04x}", byte);
        } else if (length = utf8_length(text); length == 0) {
            out += "\\ufffd";
            length = 1;
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length);
    }
    return out + '"';
}

std::string_view python_field_name(Field field) {
    for (const std::string_view name :
         {"asctime", "created", "filename", "funcName", "levelname", "levelno", "lineno", "message", "module", "msecs",
          "name", "pathname", "process", "processName", "thread", "threadName"})
        if (field_named(name) == field) return name;
    return "message";
}

}  // namespace

std::string one_line(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n')
            out += "\\n";
        else if ((byte < 0x20 && c != '\t') || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

Result<LineFormat> LineFormat::compile(const Options& options) {
    LineFormat out;
    out.json_ = options.json;
    out.as_pgbouncer_ = options.as_pgbouncer;
    out.date_format_ = options.date_format;
    out.static_fields_ = options.static_fields;
    auto pattern = Pattern::compile(options.format, options.date_format);
    if (!pattern) return std::unexpected(std::move(pattern.error()));
    out.pattern_ = std::move(*pattern);
    for (const auto& [name, shown_as] : options.json_fields) {
        auto field = field_named(name);
        if (!field) return std::unexpected(std::move(field.error()));
        out.json_fields_.emplace_back(*field, shown_as);
    }
    if (options.json && out.json_fields_.empty())
        for (const Field field : out.pattern_.fields()) out.json_fields_.emplace_back(field, python_field_name(field));
    return out;
}

std::string LineFormat::line(const Record& record) const {
    if (json_) return json_line(record);
    const std::string message = one_line(record.message);
    Record printable = record;
    printable.message = message;
    if (as_pgbouncer_) return pgbouncer_line(printable);
    std::string out;
    pattern_.append(out, printable);
    out += '\n';
    return out;
}

std::string LineFormat::json_line(const Record& record) const {
    std::string out = "{";
    const auto add = [&out](std::string_view name, std::string_view value) {
        if (out.size() > 1) out += ", ";
        out.append(json_string(name)).append(": ").append(value);
    };
    for (const auto& [field, name] : json_fields_) {
        const std::string text = field_text(field, record, date_format_);
        add(name, is_number(field) ? text : json_string(text));
    }
    for (const auto& [name, value] : static_fields_) add(name, value);
    return out + "}\n";
}

}  // namespace pgkeel::log
