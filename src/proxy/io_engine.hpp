#pragma once
#include "base/result.hpp"
#include "config/pooler.hpp"
#include "engine/loop.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace pgkeel::proxy {

/// Loops for so many threads, all of one kind, and a line in the log that says which. `automatic` takes io_uring where
/// it works, and epoll where it does not. Errors: unavailable — io_uring was asked for by name; io_error.
Result<std::vector<std::unique_ptr<engine::Loop>>> make_loops(config::IoEngine wanted, std::size_t count);

}  // namespace pgkeel::proxy
