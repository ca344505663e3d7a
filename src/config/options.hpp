#pragma once
#include "base/result.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::config {

namespace json = boost::json;

enum class Kind { text, integer, boolean, choice, address, list, map, any };

/// What happens to a value that is not allowed.
enum class Wrong { is_error, is_warning };

/// One key of a configuration: the checks, `--help` and the documentation read this and nothing else.
struct Option {
    std::string_view path;  ///< "restapi.listen"; a last part `*` stands for every name
    Kind kind = Kind::text;
    std::string_view unit = {};           ///< of an integer: "s", "B", or nothing
    std::string_view default_value = {};  ///< as it would be written; empty: none
    std::string_view help = {};
    std::string_view choices = {};   ///< of a choice: the words allowed, blanks between them
    std::string_view variable = {};  ///< environment variable behind PATRONI_; `*`: one for each name
    std::int64_t minimum = 0;        ///< of an integer
    std::int64_t maximum = 2147483647;
    Wrong wrong = Wrong::is_error;
    bool required = false;
    bool secret = false;   ///< its value is never shown
    bool ignored = false;  ///< Patroni's; accepted so that its files work, without an effect here
};

/// The agent's file, Patroni's sections.
std::span<const Option> agent_options();
/// Its section `pgkeel`. Unknown keys are errors there, only warnings in Patroni's sections.
std::span<const Option> pgkeel_options();
/// The dynamic configuration, etcd key `config`.
std::span<const Option> dynamic_options();

/// The option that `path` is declared as, wildcards included.
const Option* find_option(std::span<const Option> table, std::string_view path);

/// Errors: invalid_input — the value (unless secret) and what is allowed; whoever calls knows the key.
Result<> check_value(const Option& option, const json::value& value);

struct Finding {
    std::string path = {};
    bool unknown = false;  ///< no such key; else its value is wrong
    std::string text = {};
    std::string hint = {};
};

/// Every key of `object` that the table does not declare, and every value that its option does not allow. `also_known`:
/// paths of sections whose names the operator chose.
std::vector<Finding> check_keys(const json::object& object, std::span<const Option> table,
                                std::span<const std::string> also_known = {});

/// The value at "a.b.c"; null when a step is missing, is no object, or the value is null.
const json::value* find_value(const json::object& object, std::string_view path);

/// A scalar as text: numbers as written in JSON, booleans as true and false. Nothing for lists, maps and null.
std::optional<std::string> scalar_text(const json::value& value);

/// A number, also one written as text with a unit, rounded to the nearest whole one.
std::optional<std::int64_t> whole_number(const json::value& value, std::string_view unit);

}  // namespace pgkeel::config
