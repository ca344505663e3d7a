#include "postgres/connection.hpp"

#include "base/handles.hpp"
#include "log/log.hpp"
#include "postgres/resolve.hpp"

#include <libpq-fe.h>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <algorithm>

namespace pgkeel::postgres {

namespace {

using PgConn = std::unique_ptr<PGconn, FreeWith<PQfinish>>;
using PgResult = std::unique_ptr<PGresult, FreeWith<PQclear>>;
using Descriptor = asio::posix::stream_descriptor;

/// libpq owns the socket; this lends it to the event loop and takes it back without closing it.
class Lent {
  public:
    Lent(const asio::any_io_executor& executor, int socket) : descriptor_(executor, socket) {}
    ~Lent() { descriptor_.release(); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;

    /// False: the deadline came first.
    Task<bool> ready(Clock& clock, Descriptor::wait_type what, Deadline deadline) {
        if (clock.now() >= deadline) co_return false;
        const auto alarm = clock.call_at(deadline, [this] { descriptor_.cancel(); });
        const auto [error] = co_await descriptor_.async_wait(what, asio::as_tuple(asio::use_awaitable));
        co_return !error;
    }

  private:
    Descriptor descriptor_;
};

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    std::ranges::replace(text, '\n', ' ');
    return text;
}

/// The SQLSTATE in a verbose message of libpq: "…FATAL:  57P03: the database system is starting up". The words around
/// it are in the server's language, the code is not.
std::string sqlstate_in(std::string_view message) {
    for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
        const auto code = message.substr(at + 3, 5);
        const bool looks_right =
            std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
        if (code.size() == 5 && looks_right && message.substr(at + 8, 1) == ":") return std::string(code);
    }
    return {};
}

/// Where in PostgreSQL's source an error was raised is of no use to an operator.
std::string without_location(const std::string& message) {
    return trimmed(message.substr(0, message.find("\nLOCATION:")));
}

std::string described(const Login& login) {
    return fmt::format("{}:{} as {}", login.endpoint.host, login.endpoint.port,
                       login.user.username.empty() ? "the default user" : login.user.username);
}

void log_notice(void*, const char* text) {
    if (log::enabled(log::Level::debug)) log::debug("PostgreSQL says: {}", trimmed(text));
}

}  // namespace

struct Connection::Session {
    Session(Clock& time, PgConn connection, const asio::any_io_executor& executor)
        : clock(time), conn(std::move(connection)), lent(executor, PQsocket(conn.get())) {}
    Clock& clock;
    PgConn conn;
    Lent lent;  // after conn: it must give the socket back before PQfinish closes it
    bool usable = true;
};

Connection::Connection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Connection::~Connection() = default;
bool Connection::usable() const {
    return session_->usable;
}
int Connection::server_version() const {
    return PQserverVersion(session_->conn.get());
}
int Connection::backend_pid() const {
    return PQbackendPID(session_->conn.get());
}

std::vector<std::pair<std::string, std::string>> libpq_parameters(const Login& login,
                                                                  const std::vector<std::string>& addresses) {
    std::vector<std::pair<std::string, std::string>> parameters;
    for (const auto& [keyword, value] : login.user.connection) parameters.emplace_back(keyword, value);
    const auto repeated = [&](const std::string& value) {
        std::string all = value;
        for (std::size_t i = 1; i < addresses.size(); ++i) all += "," + value;
        return all;
    };
    parameters.emplace_back("host", repeated(login.endpoint.host));
    if (!addresses.empty()) parameters.emplace_back("hostaddr", fmt::format("{}", fmt::join(addresses, ",")));
    parameters.emplace_back("port", login.endpoint.port);
    if (!login.user.username.empty()) parameters.emplace_back("user", login.user.username);
    if (!login.user.password.empty()) parameters.emplace_back("password", login.user.password);
    parameters.emplace_back("dbname", login.replication ? "replication" : login.database);
    if (login.replication) parameters.emplace_back("replication", "true");
    if (login.read_write) parameters.emplace_back("target_session_attrs", "read-write");
    parameters.emplace_back("application_name", login.application_name);
    parameters.emplace_back("client_encoding", "UTF8");
    parameters.emplace_back("connect_timeout", "3");
    // Text output in one form whatever the database says, no detour through objects that users made, no compiling of
    // small queries.
    std::string options = "-c search_path=pg_catalog,pg_temp -c DateStyle=ISO -c TimeZone=UTC -c jit=off";
    if (login.replication) options = "-c search_path=pg_catalog,pg_temp";
    if (login.statement_timeout.count() > 0 && !login.replication)
        options += fmt::format(" -c statement_timeout={}", login.statement_timeout.count());
    parameters.emplace_back("options", options);
    return parameters;
}

Errc errc_of_sqlstate(std::string_view sqlstate) {
    if (sqlstate == "42710" || sqlstate == "42P04" || sqlstate == "42P06" || sqlstate == "42P07")
        return Errc::already_exists;
    if (sqlstate == "42704" || sqlstate == "42P01" || sqlstate == "42883" || sqlstate == "3D000")
        return Errc::not_found;
    if (sqlstate.starts_with("28") || sqlstate == "42501") return Errc::denied;
    // Cannot connect now, shutting down, crashed; too many connections.
    if (sqlstate.starts_with("57P") || sqlstate == "53300") return Errc::unavailable;
    return Errc::postgres_error;
}

bool is_starting_or_stopping(const Error& error) {
    // Both texts are made below, with the code in them.
    return error.code == Errc::unavailable && error.text.contains("57P0");
}

bool is_wrong_password(const Error& error) {
    return error.code == Errc::denied && error.text.contains("28P01");
}

namespace {

std::unexpected<Error> refused(const Login& login, const PGconn* conn) {
    const std::string message = PQerrorMessage(conn);
    const std::string sqlstate = sqlstate_in(message);
    const Errc code = sqlstate.empty() ? Errc::unavailable : errc_of_sqlstate(sqlstate);
    return fail(code, fmt::format("cannot connect to {}: {}", described(login), without_location(message)),
                code == Errc::denied ? "check postgresql.authentication and pg_hba.conf" : "");
}

PgConn begin_connecting(const Login& login, const std::vector<std::string>& addresses) {
    const auto parameters = libpq_parameters(login, addresses);
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    return PgConn(PQconnectStartParams(keywords.data(), values.data(), 0));
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> Connection::open(Clock& clock, Login login, Deadline deadline) {
    std::string other = std::exchange(login.user.other_password, {});
    auto opened = co_await open_once(clock, login, deadline);
    if (opened || other.empty() || !is_wrong_password(opened.error())) co_return opened;
    login.user.password = std::move(other);
    auto again = co_await open_once(clock, std::move(login), deadline);
    if (again || !is_wrong_password(again.error())) co_return again;
    co_return opened;
}

Task<Result<std::unique_ptr<Connection>>> Connection::open_once(Clock& clock, Login login, Deadline deadline) {
    const auto executor = co_await asio::this_coro::executor;
    std::vector<std::string> addresses;
    if (!login.endpoint.host.empty() && !login.endpoint.host.starts_with('/')) {
        auto resolved = co_await resolve(clock, login.endpoint.host, deadline);
        if (!resolved) co_return fail(fmt::format("connecting to {}", described(login)), resolved.error());
        addresses = std::move(*resolved);
    }
    PgConn conn = begin_connecting(login, addresses);
    if (!conn) co_return fail(Errc::unavailable, fmt::format("cannot connect to {}: out of memory", described(login)));
    if (PQstatus(conn.get()) == CONNECTION_BAD) co_return refused(login, conn.get());
    PQsetNoticeProcessor(conn.get(), log_notice, nullptr);
    PQsetErrorVerbosity(conn.get(), PQERRORS_VERBOSE);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        // Each step may have closed the socket and opened another, even with the same number, so each step lends it
        // anew.
        bool in_time = false;
        {
            Lent lent(executor, PQsocket(conn.get()));
            in_time = co_await lent.ready(
                clock, next == PGRES_POLLING_READING ? Descriptor::wait_read : Descriptor::wait_write, deadline);
        }
        if (!in_time)
            co_return fail(Errc::timed_out, fmt::format("cannot connect to {}: no answer in time", described(login)));
        next = PQconnectPoll(conn.get());
        if (next == PGRES_POLLING_FAILED) co_return refused(login, conn.get());
    }
    PQsetErrorVerbosity(conn.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(conn.get(), 1);
    co_return std::unique_ptr<Connection>(new Connection(std::make_unique<Session>(clock, std::move(conn), executor)));
}

namespace {

SqlRows rows_of(const PGresult* result) {
    SqlRows rows(static_cast<std::size_t>(PQntuples(result)));
    const int columns = PQnfields(result);
    for (int row = 0; row < PQntuples(result); ++row) {
        auto& fields = rows[static_cast<std::size_t>(row)];
        fields.resize(static_cast<std::size_t>(columns));
        for (int column = 0; column < columns; ++column)
            if (PQgetisnull(result, row, column) == 0)
                fields[static_cast<std::size_t>(column)].emplace(
                    PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column)));
    }
    return rows;
}

std::unexpected<Error> failed(const PGresult* result) {
    const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const std::string state = sqlstate != nullptr ? sqlstate : "";
    return fail(errc_of_sqlstate(state),
                fmt::format("PostgreSQL refused: {} ({})",
                            message != nullptr ? message : trimmed(PQresultErrorMessage(result)), state));
}

/// Sends what is buffered, then reads until every result of the statement is there.
template <class Session>
Task<Result<SqlRows>> answer(Session& session, Deadline deadline) {
    PGconn* conn = session.conn.get();
    const auto broken = [&] {
        session.usable = false;
        return fail(Errc::maybe_done,
                    fmt::format("lost the connection to PostgreSQL: {}", trimmed(PQerrorMessage(conn))));
    };
    const auto late = [&] {
        session.usable = false;
        return fail(Errc::timed_out, "PostgreSQL did not answer in time");
    };
    for (;;) {
        const int left = PQflush(conn);
        if (left < 0) co_return broken();
        if (left == 0) break;
        if (!co_await session.lent.ready(session.clock, Descriptor::wait_write, deadline)) co_return late();
    }
    Result<SqlRows> outcome = SqlRows{};
    for (;;) {
        while (PQisBusy(conn) != 0) {
            if (!co_await session.lent.ready(session.clock, Descriptor::wait_read, deadline)) co_return late();
            if (PQconsumeInput(conn) == 0) co_return broken();
        }
        const PgResult result(PQgetResult(conn));
        if (!result) break;
        switch (PQresultStatus(result.get())) {
            case PGRES_TUPLES_OK:
            case PGRES_COMMAND_OK:
            case PGRES_EMPTY_QUERY:
                if (outcome) outcome = rows_of(result.get());
                break;
            case PGRES_COPY_IN:
            case PGRES_COPY_OUT:
            case PGRES_COPY_BOTH:
                session.usable = false;
                co_return fail(Errc::invalid_input, "COPY is not possible here");
            default:
                if (PQresultErrorField(result.get(), PG_DIAG_SQLSTATE) == nullptr) co_return broken();
                outcome = failed(result.get());
        }
    }
    if (PQstatus(conn) == CONNECTION_BAD) session.usable = false;
    co_return outcome;
}

std::unexpected<Error> not_usable() {
    return fail(Errc::unavailable, "the connection to PostgreSQL is closed");
}

}  // namespace

Task<Result<SqlRows>> Connection::query(std::string statement, std::vector<std::string> parameters, Deadline deadline) {
    if (!session_->usable) co_return not_usable();
    std::vector<const char*> values;
    for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
    PGconn* conn = session_->conn.get();
    const int sent = parameters.empty() ? PQsendQuery(conn, statement.c_str())
                                        : PQsendQueryParams(conn, statement.c_str(), static_cast<int>(values.size()),
                                                            nullptr, values.data(), nullptr, nullptr, 0);
    if (sent == 0) {
        session_->usable = false;
        co_return fail(Errc::unavailable, fmt::format("cannot ask PostgreSQL: {}", trimmed(PQerrorMessage(conn))));
    }
    co_return co_await answer(*session_, deadline);
}

Task<Result<>> Connection::prepare(std::string name, std::string statement, Deadline deadline) {
    if (!session_->usable) co_return not_usable();
    if (PQsendPrepare(session_->conn.get(), name.c_str(), statement.c_str(), 0, nullptr) == 0) co_return not_usable();
    auto done = co_await answer(*session_, deadline);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return Result<>{};
}

Task<Result<SqlRows>> Connection::run(std::string name, Deadline deadline) {
    if (!session_->usable) co_return not_usable();
    if (PQsendQueryPrepared(session_->conn.get(), name.c_str(), 0, nullptr, nullptr, nullptr, 0) == 0) {
        session_->usable = false;
        co_return not_usable();
    }
    co_return co_await answer(*session_, deadline);
}

std::string quote_literal(std::string_view text) {
    std::string quoted = text.contains('\\') ? " E'" : "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted + "'";
}

std::string quote_identifier(std::string_view name) {
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"') quoted += c;
        quoted += c;
    }
    return quoted + "\"";
}

}  // namespace pgkeel::postgres
