#include "pgwire/error_fields.hpp"

#include "pgwire/reader.hpp"

#include <algorithm>

namespace pgkeel::pgwire::backend {
namespace {

constexpr int fields_max = 64;

}  // namespace

bool is_sqlstate(std::string_view text) {
    return text.size() == 5 &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

Result<ErrorFields> read_error_fields(std::string_view body) {
    Reader reader(body);
    ErrorFields out;
    std::string_view translated_severity;
    int fields = 0;
    for (std::uint8_t code = reader.byte(); code != 0; code = reader.byte()) {
        if (++fields > fields_max)
            return fail(Errc::invalid_input, "the server sent an error with more than 64 fields");
        const std::string_view value = reader.text();
        switch (code) {
            case 'S':
                translated_severity = value;
                break;
            case 'V':
                out.severity = value;
                break;
            case 'C':
                out.sqlstate = is_sqlstate(value) ? value : std::string_view();
                break;
            case 'M':
                out.message = value;
                break;
            case 'D':
                out.detail = value;
                break;
            case 'H':
                out.hint = value;
                break;
            case 'W':
                out.where = value;
                break;
            case 'R':
                out.routine = value;
                break;
            default:
                break;
        }
    }
    if (!reader.finished())
        return fail(Errc::invalid_input, "the server sent an error that does not end where it should");
    if (out.severity.empty()) out.severity = translated_severity;
    return out;
}

}  // namespace pgkeel::pgwire::backend
