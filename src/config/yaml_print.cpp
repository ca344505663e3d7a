#include "config/yaml.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::config {
namespace {

namespace json = boost::json;

bool printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

/// Would come back as the same text, here and in PyYAML, when written without quotes.
bool may_stand_plain(std::string_view text) {
    if (text.empty() || !printable(text) || !plain_scalar(text).is_string()) return false;
    if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
    if (text.contains(": ") || text.contains(" #") || text == "<<" || text == "=" || text.starts_with("---") ||
        text.starts_with("..."))
        return false;
    // The document's indicators, and what could begin a number or a date that only PyYAML knows.
    if (std::string_view("!&*-?:[]{},#|>@`\"'%~+.=<").contains(text.front())) return false;
    if (text.front() >= '0' && text.front() <= '9' &&
        text.find_first_not_of("0123456789-:+. TtZz_eE") == std::string_view::npos)
        return false;
    // Byte order marks and the line ends of Unicode, which a YAML reader takes for its own.
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; }) ||
           !(text.contains("\xe2\x80\xa8") || text.contains("\xe2\x80\xa9") || text.contains("\xc2\x85") ||
             text.contains("\xef\xbb\xbf"));
}

std::string quoted(std::string_view text) {
    const bool simple = printable(text) && !text.contains("\xe2\x80\xa8") && !text.contains("\xe2\x80\xa9") &&
                        !text.contains("\xc2\x85") && !text.contains("\xef\xbb\xbf");
    std::string out(1, simple ? '\'' : '"');
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto byte = static_cast<unsigned char>(c);
        if (simple)
            out.append(c == '\'' ? "''" : std::string_view(&c, 1));
        else if (c == '"' || c == '\\')
            out.append(1, '\\').append(1, c);
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else if (const std::string_view rest = text.substr(i);
                 rest.starts_with("\xe2\x80\xa8") || rest.starts_with("\xe2\x80\xa9")) {
            out += rest[2] == '\xa8' ? "\\u2028" : "\\u2029";
            i += 2;
        } else if (rest.starts_with("\xef\xbb\xbf")) {
            out += "\\ufeff";
            i += 2;
        } else if (rest.starts_with("\xc2\x85")) {
            out += "\\u0085";
            i += 1;
        } else
            out += c;
    }
    return out + (simple ? '\'' : '"');
}

std::string word(std::string_view text) {
    return may_stand_plain(text) ? std::string(text) : quoted(text);
}

/// YAML 1.1 wants the point: 1e+20 alone is text there.
std::string number(double value) {
    std::string text = fmt::format("{}", value);
    if (text.contains('.')) return text;
    const auto exponent = text.find('e');
    return exponent == std::string::npos ? text + ".0" : text.insert(exponent, ".0");
}

std::string scalar(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return "null";
        case json::kind::bool_:
            return value.get_bool() ? "true" : "false";
        case json::kind::int64:
            return std::to_string(value.get_int64());
        case json::kind::uint64:
            return std::to_string(value.get_uint64());
        case json::kind::double_:
            return number(value.get_double());
        case json::kind::string:
            return word(std::string_view(value.get_string().data(), value.get_string().size()));
        case json::kind::array:
            return "[]";
        case json::kind::object:
            return "{}";
    }
    return "null";
}

bool is_block(const json::value& value) {
    return (value.is_object() && !value.get_object().empty()) || (value.is_array() && !value.get_array().empty());
}

/// Writes the lines of a map or list; the cursor stands where its first line begins, `indent` columns in.
void print_block(std::string& out, const json::value& value, std::size_t indent) {
    bool first = true;
    const auto begin_line = [&] {
        if (!first) out.append(indent, ' ');
        first = false;
    };
    if (const auto* object = value.if_object()) {
        for (const auto& member : *object) {
            begin_line();
            out += word(std::string_view(member.key().data(), member.key().size()));
            out += ':';
            if (!is_block(member.value())) {
                out.append(" ").append(scalar(member.value())).append("\n");
                continue;
            }
            // Lists stand under their key without a step, as Patroni's own files have them.
            const std::size_t inner = indent + (member.value().is_object() ? 2 : 0);
            out.append("\n").append(inner, ' ');
            print_block(out, member.value(), inner);
        }
        return;
    }
    for (const auto& element : value.get_array()) {
        begin_line();
        out += "- ";
        if (is_block(element))
            print_block(out, element, indent + 2);
        else
            out.append(scalar(element)).append("\n");
    }
}

}  // namespace

std::string to_yaml(const json::value& value) {
    if (!is_block(value)) return scalar(value) + "\n";
    std::string out;
    print_block(out, value, 0);
    return out;
}

}  // namespace pgkeel::config
