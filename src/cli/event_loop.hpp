#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"

#include <functional>

namespace pgkeel::cli {

/// Runs one task on an event loop of its own and returns what it returned. Ctrl-C keeps its ordinary effect unless the
/// task waits for signals itself.
int run_task(std::function<Task<int>(Clock&)> body);

}  // namespace pgkeel::cli
