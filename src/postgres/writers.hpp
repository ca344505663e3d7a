#pragma once
#include "base/result.hpp"
#include "process/child.hpp"

#include <string>

// Programs that write into the data directory of a server that does not run: initdb, pg_basebackup, pg_rewind, scripts.
// An agent that is killed leaves them behind, and what two of them have written at once nobody can tell from a good
// copy.

namespace pgkeel::postgres {

/// Marks a program as one that writes into `data_directory`. It and all that it starts carry the mark in their
/// environment (PGKEEL_WRITES_INTO).
void mark_as_writer(Command& command, const std::string& data_directory);

/// Kills every process that carries the mark of this directory, and waits until they have ended. Blocks: use Workers.
/// Errors: unsafe, when one of them is still there after some seconds.
Result<> end_writers(const std::string& data_directory);

}  // namespace pgkeel::postgres
