#include "cli/sql.hpp"

#include <poll.h>

#include <fmt/format.h>

#include <cerrno>
#include <vector>

namespace pgkeel::cli {

namespace {
using SteadyClock = std::chrono::steady_clock;

std::string one_line(std::string text) {
    for (char& c : text)
        if (c == '\n' || c == '\t') c = ' ';
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

/// Waits until the connection's socket can be read (or written); false: the time is over.
bool wait_for(PGconn& connection, bool to_write, SteadyClock::time_point until) {
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SteadyClock::now()).count();
        if (left <= 0) return false;
        pollfd wanted{PQsocket(&connection), static_cast<short>(to_write ? POLLOUT : POLLIN), 0};
        const int ready = poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 1000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}
}  // namespace

SqlParameters sql_parameters(const Member& member, const config::PgUser& user, const std::string& database) {
    SqlParameters parameters = {user.connection.begin(), user.connection.end()};
    parameters["host"] = member.host;
    parameters["port"] = member.port;
    parameters["dbname"] = database;
    parameters["fallback_application_name"] = "pgkeel";
    if (!user.username.empty()) parameters["user"] = user.username;
    if (!user.password.empty()) parameters["password"] = user.password;
    return parameters;
}

Result<PgConn> connect(const SqlParameters& parameters, std::chrono::milliseconds patience) {
    const auto until = SteadyClock::now() + patience;
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    PgConn connection(PQconnectStartParams(keywords.data(), values.data(), 0));
    if (!connection) return fail(Errc::unavailable, "out of memory");
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (PQstatus(connection.get()) != CONNECTION_BAD && next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
        if (!wait_for(*connection, next == PGRES_POLLING_WRITING, until))
            return fail(Errc::timed_out, fmt::format("no answer from PostgreSQL at {}:{}", parameters.at("host"),
                                                     parameters.at("port")));
        next = PQconnectPoll(connection.get());
    }
    if (PQstatus(connection.get()) != CONNECTION_OK) {
        // libpq tells a refused login from a server that is down only by its text; without a password it says so
        // itself.
        const bool denied =
            PQconnectionNeedsPassword(connection.get()) != 0 || PQconnectionUsedPassword(connection.get()) != 0;
        return fail(denied ? Errc::denied : Errc::unavailable, one_line(PQerrorMessage(connection.get())));
    }
    return connection;
}

Result<PgResult> execute(PGconn& connection, const std::string& sql, std::chrono::milliseconds patience) {
    const auto until = SteadyClock::now() + patience;
    if (PQsendQuery(&connection, sql.c_str()) == 0)
        return fail(Errc::unavailable, one_line(PQerrorMessage(&connection)));
    PgResult last;
    while (true) {
        while (PQisBusy(&connection) != 0) {
            if (!wait_for(connection, false, until)) return fail(Errc::maybe_done, "no answer from PostgreSQL in time");
            if (PQconsumeInput(&connection) == 0) return fail(Errc::unavailable, one_line(PQerrorMessage(&connection)));
        }
        PgResult next(PQgetResult(&connection));
        if (!next) break;
        const ExecStatusType status = PQresultStatus(next.get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            return fail(Errc::invalid_input, "COPY from or to the client is not supported here", "use psql");
        // The last result of several commands counts, as in psql -c; a failure ends them.
        last = std::move(next);
    }
    if (!last) return fail(Errc::unavailable, one_line(PQerrorMessage(&connection)));
    const ExecStatusType status = PQresultStatus(last.get());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return last;
    const char* state = PQresultErrorField(last.get(), PG_DIAG_SQLSTATE);
    if (state == nullptr) return fail(Errc::unavailable, one_line(PQresultErrorMessage(last.get())));
    return fail(Errc::postgres_error,
                fmt::format("{} (SQLSTATE {})", one_line(PQresultErrorMessage(last.get())), state));
}

}  // namespace pgkeel::cli
