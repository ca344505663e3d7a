#include "agent/rest/json_text.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <cmath>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

std::string fraction(double number) {
    if (!std::isfinite(number)) return "null";
    std::string text = fmt::format("{}", number);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
}

/// The depth is that of the value, which whoever parsed it has limited.
void write(std::string& out, const json::value& value, bool spaced) {
    const char* comma = spaced ? ", " : ",";
    if (const json::object* object = value.if_object()) {
        out += '{';
        bool first = true;
        for (const auto& [key, member] : *object) {
            if (!std::exchange(first, false)) out += comma;
            out += json::serialize(json::string_view(key));
            out += spaced ? ": " : ":";
            write(out, member, spaced);
        }
        out += '}';
    } else if (const json::array* array = value.if_array()) {
        out += '[';
        bool first = true;
        for (const json::value& element : *array) {
            if (!std::exchange(first, false)) out += comma;
            write(out, element, spaced);
        }
        out += ']';
    } else if (const double* number = value.if_double()) {
        out += fraction(*number);
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

std::string spaced_json(const json::value& value) {
    std::string out;
    write(out, value, true);
    return out;
}

std::string compact_json(const json::value& value) {
    std::string out;
    write(out, value, false);
    return out;
}

}  // namespace pgkeel::agent::rest
