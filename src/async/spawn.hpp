#pragma once
#include "async/task.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel {

/// Starts a task of its own. An exception that leaves it ends the program with `name` in the log: it is a bug.
void spawn(const asio::any_io_executor& executor, std::string name, Task<> task);

/// Runs all tasks at once and waits for every one.
Task<> all_of(std::vector<Task<>> tasks);

}  // namespace pgkeel
