#pragma once
#include "async/clock.hpp"
#include "config/agent_config.hpp"
#include "postgres/connection.hpp"
#include "postgres/conninfo.hpp"

#include <string>

// Passwords of the roles that the agents use themselves, while they are being changed on a running cluster
// (docs/decisions/0012-rotation.md).

namespace pgkeel::postgres {

/// `user` with the password that the server at `endpoint` takes in the first place: for libpq's password files, which
/// hold one for each role. Nobody is asked while there is but one; a server that does not answer leaves the order.
Task<config::PgUser> accepted_first(Clock& clock, config::PgUser user, Endpoint endpoint, bool replication,
                                    std::string database);

/// Whether what the server keeps of a password (pg_authid.rolpassword) was made of this one. EXPENSIVE.
bool is_password_of(const std::string& stored, const std::string& role, const std::string& password);

/// Logs in with `user.password` alone. Errors: as Connection::open.
Task<Result<>> prove_login(Clock& clock, config::PgUser user, Endpoint endpoint, bool replication,
                           std::string database);

}  // namespace pgkeel::postgres
