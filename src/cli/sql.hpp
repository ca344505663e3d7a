#pragma once
#include "base/cluster_view.hpp"
#include "base/handles.hpp"
#include "base/result.hpp"
#include "config/agent_config.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <map>
#include <string>

// libpq for commands: these calls block, so they run on a thread of their own, never on the event loop.

namespace pgkeel::cli {

using PgConn = std::unique_ptr<PGconn, FreeWith<PQfinish>>;
using PgResult = std::unique_ptr<PGresult, FreeWith<PQclear>>;

/// libpq's keywords and values. The password travels in here and nowhere else.
using SqlParameters = std::map<std::string, std::string>;

/// How `user` reaches the PostgreSQL of `member`. A user without a password leaves libpq to find one (PGPASSFILE,
/// ~/.pgpass).
SqlParameters sql_parameters(const Member& member, const config::PgUser& user, const std::string& database);

/// Errors: unavailable — refused, not yet or no longer accepting connections; denied — login refused; timed_out.
Result<PgConn> connect(const SqlParameters& parameters, std::chrono::milliseconds patience);

/// One command and its last result. Errors: postgres_error — with SQLSTATE; unavailable — the connection broke;
/// maybe_done — no answer in time: the connection is of no more use.
Result<PgResult> execute(PGconn& connection, const std::string& sql, std::chrono::milliseconds patience);

}  // namespace pgkeel::cli
