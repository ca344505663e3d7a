#pragma once
#include "async/task.hpp"
#include "base/result.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pgkeel::postgres {

/// What a query returned, as text; nothing for NULL.
using SqlRows = std::vector<std::vector<std::optional<std::string>>>;
/// Runs one statement with $1, $2 … on a connection its owner keeps open, under the owner's deadline.
using RunSql = std::function<Task<Result<SqlRows>>(std::string statement, std::vector<std::string> parameters)>;

}  // namespace pgkeel::postgres
