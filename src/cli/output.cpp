#include "cli/output.hpp"

#include "config/yaml.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

namespace pgkeel::cli {

namespace {
void write_pretty(std::string& out, const boost::json::value& value, std::size_t indent) {
    const std::string inner(indent + 2, ' ');
    const std::string outer(indent, ' ');
    if (value.is_object() && !value.get_object().empty()) {
        const char* separator = "{\n";
        for (const auto& member : value.get_object()) {
            out += separator + inner + boost::json::serialize(boost::json::value(member.key())) + ": ";
            write_pretty(out, member.value(), indent + 2);
            separator = ",\n";
        }
        out += "\n" + outer + "}";
    } else if (value.is_array() && !value.get_array().empty()) {
        const char* separator = "[\n";
        for (const auto& element : value.get_array()) {
            out += separator + inner;
            write_pretty(out, element, indent + 2);
            separator = ",\n";
        }
        out += "\n" + outer + "]";
    } else {
        out += boost::json::serialize(value);
    }
}
}  // namespace

Result<Format> parse_format(std::string_view text) {
    if (text == "table" || text == "pretty") return Format::table;
    if (text == "json") return Format::json;
    if (text == "yaml" || text == "yml") return Format::yaml;
    if (text == "tsv") return Format::tsv;
    return fail(Errc::invalid_input, fmt::format("no output format '{}'", text), "use table, tsv, json or yaml");
}

std::string render(const boost::json::value& value, Format format) {
    std::string out;
    if (format == Format::yaml) {
        out = config::to_yaml(value);
    } else {
        write_pretty(out, value, 0);
    }
    if (out.empty() || out.back() != '\n') out += '\n';
    return out;
}

std::string render_tsv(const std::vector<std::string>& columns, const boost::json::array& records) {
    std::string out;
    const auto add_line = [&out](const std::vector<std::string>& cells) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            std::string cell = cells[i];
            for (char& c : cell)
                if (c == '\t' || c == '\n' || c == '\r') c = ' ';
            out += (i == 0 ? "" : "\t") + cell;
        }
        out += '\n';
    };
    add_line(columns);
    for (const auto& record : records) {
        std::vector<std::string> cells;
        for (const std::string& column : columns) {
            const boost::json::value* value = record.get_object().if_contains(column);
            if (value == nullptr || value->is_null()) {
                cells.emplace_back();
            } else {
                cells.push_back(value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value));
            }
        }
        add_line(cells);
    }
    return out;
}

}  // namespace pgkeel::cli
