#pragma once
#include "async/clock.hpp"
#include "async/workers.hpp"
#include "base/result.hpp"
#include "base/server_state.hpp"
#include "postgres/programs.hpp"

#include <string>
#include <string_view>

namespace pgkeel::postgres {

/// Reads what pg_controldata printed in the C locale. Errors: invalid_input, when the state or the system identifier is
/// missing.
Result<ControlData> parse_control_data(std::string_view output);

/// Asks pg_controldata about the data directory of this node. Errors: process_failed, timed_out, not_found.
Task<Result<ControlData>> read_control_data(const Programs& programs, Deadline deadline);

/// The state alone, straight from the file, for polling: a few bytes that have been at the same place since
/// PostgreSQL 9.4. `unknown` when the file cannot be read. Blocks: use Workers.
ControlState peek_control_state(const std::string& data_directory);

}  // namespace pgkeel::postgres
