#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"
#include "config/agent_config.hpp"
#include "postgres/conninfo.hpp"
#include "postgres/sql.hpp"

#include <memory>
#include <string>
#include <vector>

// One connection to a PostgreSQL server over libpq, without blocking the event loop.

namespace pgkeel::postgres {

/// Where to connect, as whom, as what.
struct Login {
    Endpoint endpoint;
    config::PgUser user;
    std::string database = "postgres";
    std::string application_name = "Patroni";
    /// The server gives up on a statement by itself; zero: never. Our own deadline comes on top.
    std::chrono::milliseconds statement_timeout{2000};
    /// A connection that speaks the replication protocol (IDENTIFY_SYSTEM); only simple statements work on it.
    bool replication = false;
    /// A standby, or a server that is still a standby, is refused.
    bool read_write = false;
};

/// Every session sees system objects only, whatever a database's owner put into search paths. A statement that is not
/// answered before its deadline costs the connection: nobody could say which answer comes next.
class Connection {
  public:
    /// A user with two passwords logs in with the second one if the server refuses the first. Errors: unavailable — not
    /// listening, starting up or shutting down; denied; timed_out; postgres_error.
    static Task<Result<std::unique_ptr<Connection>>> open(Clock& clock, Login login, Deadline deadline);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs one statement with $1, $2 …; without parameters also several, of which the last one's rows are returned.
    /// Errors: postgres_error; already_exists, not_found, denied — by SQLSTATE; unavailable — the server is shutting
    /// down or cannot now; timed_out — it MAY still be running or done; maybe_done — the connection broke while it ran.
    Task<Result<SqlRows>> query(std::string statement, std::vector<std::string> parameters, Deadline deadline);
    /// Parses a statement once for the life of the connection; `run` then spares the server the work.
    Task<Result<>> prepare(std::string name, std::string statement, Deadline deadline);
    Task<Result<SqlRows>> run(std::string name, Deadline deadline);

    /// False after any failure that leaves the session in doubt. Such a connection answers unavailable.
    bool usable() const;
    /// 150020
    int server_version() const;
    /// Process id of the server's side.
    int backend_pid() const;

  private:
    struct Session;
    explicit Connection(std::unique_ptr<Session> session);
    static Task<Result<std::unique_ptr<Connection>>> open_once(Clock& clock, Login login, Deadline deadline);
    std::unique_ptr<Session> session_;
};

/// `login`'s connection parameters as libpq takes them; `addresses` are the host's, resolved. Holds the password.
std::vector<std::pair<std::string, std::string>> libpq_parameters(const Login& login,
                                                                  const std::vector<std::string>& addresses);

/// An SQLSTATE of PostgreSQL, as far as a caller would react to it differently.
Errc errc_of_sqlstate(std::string_view sqlstate);

/// The server said that it cannot serve now, because it starts up or shuts down (SQLSTATE class 57P).
bool is_starting_or_stopping(const Error& error);

/// The server refused the password (SQLSTATE 28P01), which another one might open.
bool is_wrong_password(const Error& error);

/// 'text' as an SQL literal for statements that take no parameters (replication commands, utility statements).
std::string quote_literal(std::string_view text);
/// "name" as an SQL identifier.
std::string quote_identifier(std::string_view name);

}  // namespace pgkeel::postgres
