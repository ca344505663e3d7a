#pragma once
#include "config/options.hpp"

#include <map>
#include <string>
#include <vector>

namespace pgkeel::config {

/// Reads a checked configuration by the table of options: the value that was written and is allowed, else the option's
/// default. Lives no longer than the object it looks at.
class View {
  public:
    explicit View(const json::object& values) : values_(values) {}

    bool has(std::string_view path) const { return find_value(values_, path) != nullptr; }
    std::string text(std::string_view path) const;
    /// Lower case; booleans as on and off.
    std::string choice(std::string_view path) const;
    bool flag(std::string_view path) const;
    std::int64_t number(std::string_view path) const;
    /// A list, or text with commas.
    std::vector<std::string> list(std::string_view path) const;
    /// As `list`, but one text is one element: lines of pg_hba.conf have commas of their own.
    std::vector<std::string> lines(std::string_view path) const;
    std::map<std::string, std::string> map(std::string_view path) const;
    json::object object(std::string_view path) const;

  private:
    json::value allowed(std::string_view path) const;
    const json::object& values_;
};

/// "a, b,c" without the blanks and the empty parts.
std::vector<std::string> split_commas(std::string_view text);

}  // namespace pgkeel::config
