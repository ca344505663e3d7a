#pragma once
#include "base/result.hpp"
#include "log/pattern.hpp"

#include <string>
#include <utility>
#include <vector>

namespace pgkeel::log {

/// Control characters escaped, so that one record stays one line: whoever chooses a member's name must not be able to
/// write a line of his own.
std::string one_line(std::string_view text);

/// Turns a record into the line that is written, newline included: text by the pattern, or one JSON object.
class LineFormat {
  public:
    static Result<LineFormat> compile(const Options& options);
    std::string line(const Record& record) const;

  private:
    std::string json_line(const Record& record) const;

    bool json_ = false;
    bool as_pgbouncer_ = false;
    Pattern pattern_;
    std::string date_format_;
    std::vector<std::pair<Field, std::string>> json_fields_;
    std::vector<std::pair<std::string, std::string>> static_fields_;
};

}  // namespace pgkeel::log
