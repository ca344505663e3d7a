#pragma once
#include "base/result.hpp"
#include "log/record.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::log {

enum class Field {
    literal,
    asctime,
    created,
    file_name,
    function_name,
    level_name,
    level_number,
    line_number,
    message,
    milliseconds,
    module,
    name,
    path_name,
    process,
    process_name,
    thread,
    thread_name,
};

/// The field's number, or its text, of one record. `date_format` as in Options.
std::string field_text(Field field, const Record& record, const std::string& date_format);
Result<Field> field_named(std::string_view name);
/// A number in JSON, not a text.
bool is_number(Field field);

/// A %-format as Python's logging reads it: `%(levelname)-8s`, `%(lineno)d`, `%%`.
/// See Python, "LogRecord attributes" and "printf-style String Formatting".
class Pattern {
  public:
    /// Errors: invalid_input — an unknown field, a conversion that is not one, no field at all.
    static Result<Pattern> compile(std::string_view format, std::string date_format);

    void append(std::string& out, const Record& record) const;
    std::vector<Field> fields() const;

  private:
    struct Piece {
        Field field = Field::literal;
        std::string literal;
        bool left = false;
        bool zeros = false;
        std::size_t width = 0;
        std::size_t precision = std::string::npos;  ///< longest text; npos: no limit
    };
    static Result<Piece> conversion(std::string_view format, std::size_t& at);

    std::vector<Piece> pieces_;
    std::string date_format_;
};

}  // namespace pgkeel::log
