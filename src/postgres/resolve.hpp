#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"

#include <string>
#include <vector>

namespace pgkeel::postgres {

/// The addresses of `host`, IPv4 first, which is what PostgreSQL listens on when it listens on one of the two. A name
/// server that does not answer costs no more than the deadline. Errors: unavailable, timed_out.
Task<Result<std::vector<std::string>>> resolve(Clock& clock, std::string host, Deadline deadline);

}  // namespace pgkeel::postgres
