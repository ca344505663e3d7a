#pragma once
#include "base/result.hpp"
#include "base/server_state.hpp"
#include "postgres/sql.hpp"

#include <string>

// What the agent asks a server once a second, in one statement that is parsed once a connection: 0.2 ms on a standby,
// 0.45 ms on a primary with its standbys and slots. It must work on a primary and in recovery, whose functions refuse
// each other's callers.

namespace pgkeel::postgres {

extern const char* const state_query;
/// What cannot change while a server runs: asked once a connection.
extern const char* const identity_query;

struct StateAnswer {
    ServerState state;           ///< only what the server itself can tell
    std::string conf_load_time;  ///< changes with every reload
};
/// Reads the answer to `state_query`. Errors: invalid_input.
Result<StateAnswer> read_state(const SqlRows& rows);
/// Reads the answer to `identity_query` into `state`. Errors: invalid_input.
Result<> read_identity(const SqlRows& rows, ServerState& state);

}  // namespace pgkeel::postgres
