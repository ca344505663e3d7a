#pragma once
#include "base/result.hpp"
#include "config/pooler.hpp"
#include "pool/hub.hpp"

#include <memory>

namespace pgkeel::proxy {

/// Reads the files that say who may come in. A file of users that is missing or broken is a warning for a
/// pgbouncer.ini, as PgBouncer has it: then nobody comes in by it. Errors: io_error, invalid_input.
Result<std::shared_ptr<const pool::Access>> load_access(const config::PoolerConfig& config);

}  // namespace pgkeel::proxy
