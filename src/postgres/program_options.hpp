#pragma once
#include <boost/json/value.hpp>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::postgres {

/// Options for one of PostgreSQL's programs as people write them: a list of `name` and `{name: value}`, or a map. Those
/// that we set ourselves are dropped with a warning.
std::vector<std::string> program_options(const boost::json::value* options, std::string_view program,
                                         std::initializer_list<std::string_view> forbidden,
                                         std::vector<std::string>& warnings);

/// A value for a script's --key=value, as Patroni writes it: True and False, others as they are.
std::string argument_text(const boost::json::value& value);

}  // namespace pgkeel::postgres
