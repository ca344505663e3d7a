#include "async/spawn.hpp"
#include "log/log.hpp"
#include "postgres/local_server.hpp"
#include "postgres/passwords.hpp"
#include "postgres/rewind.hpp"

#include <fmt/format.h>

// Passwords of our own roles that change while everything runs (docs/decisions/0012-rotation.md).

namespace pgkeel::postgres {

namespace {

constexpr const char* session_name = "pgkeel rotation";
/// A lock that somebody else holds on a role, or a synchronous standby that does not answer, ends the attempt by then.
constexpr auto alter_time = std::chrono::milliseconds(20000);
constexpr Duration between_renewals = std::chrono::seconds(1);

/// Not even a verifier belongs into the server's log, nor into the statistics.
constexpr const char* quiet_session =
    "SET log_statement TO none; SET log_min_duration_statement TO -1; SET log_min_error_statement TO panic;"
    " SET log_duration TO off; SET pg_stat_statements.track_utility TO off; SET pgaudit.log TO none";

std::string name_array(const std::vector<std::string>& names) {
    std::string array;
    for (const std::string& name : names) {
        array += array.empty() ? "\"" : ",\"";
        for (const char c : name) {
            if (c == '"' || c == '\\') array += '\\';
            array += c;
        }
        array += '"';
    }
    return "{" + array + "}";
}

/// Whom pg_hba.conf does not let in at all is not kept out by a password.
bool is_in_doubt(const Result<>& login) {
    return !login && (login.error().code != Errc::denied || is_wrong_password(login.error()));
}

}  // namespace

Task<Result<std::map<std::string, std::string>>> LocalServer::stored_passwords(std::vector<std::string> roles) {
    auto rows = co_await sql("SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = ANY ($1::name[])",
                             {name_array(roles)});
    if (!rows) co_return fail("reading what the server stores of the passwords", std::move(rows.error()));
    std::map<std::string, std::string> stored;
    for (const auto& row : *rows) stored.emplace(row.at(0).value_or(""), row.at(1).value_or(""));
    co_return stored;
}

Task<Result<>> LocalServer::set_passwords(std::map<std::string, std::string> passwords) {
    std::vector<std::string> roles;
    for (const auto& [role, password] : passwords) roles.push_back(role);
    auto stored = co_await stored_passwords(roles);
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    for (const std::string& role : roles)
        if (!stored->contains(role)) co_return fail(Errc::not_found, fmt::format("the server has no role {}", role));

    auto statement = co_await workers_.run([&]() -> Result<std::string> {
        std::string all;
        for (const auto& [role, password] : passwords) {
            if (is_password_of(stored->at(role), role, password)) continue;
            auto verifier = password_verifier(role, password, "scram-sha-256");
            if (!verifier) return std::unexpected(std::move(verifier.error()));
            all += fmt::format("ALTER ROLE {} PASSWORD {};", quote_identifier(role), quote_literal(*verifier));
        }
        return all;
    });
    if (!statement) co_return std::unexpected(std::move(statement.error()));

    const Deadline deadline = clock_.now() + alter_time + std::chrono::seconds(2);
    auto session = co_await connect(session_name, alter_time, deadline);
    if (!session) co_return std::unexpected(std::move(session.error()));
    auto recovering = co_await (*session)->query("SELECT pg_catalog.pg_is_in_recovery()", {}, deadline);
    if (!recovering) co_return std::unexpected(std::move(recovering.error()));
    if (recovering->empty() || recovering->front().at(0) != "f")
        co_return fail(Errc::unavailable, "passwords are set on the primary, and this server is in recovery");
    if (statement->empty()) co_return Result<>{};  // an attempt before this one got through
    if (auto quiet = co_await (*session)->query(quiet_session, {}, deadline); !quiet)
        co_return std::unexpected(std::move(quiet.error()));
    // Several statements in one message are one transaction (PostgreSQL, "Simple Query").
    auto altered = co_await (*session)->query(std::move(*statement), {}, deadline);
    if (!altered) co_return fail("setting the passwords", std::move(altered.error()));
    co_return Result<>{};
}

Task<Result<>> LocalServer::prove_passwords(std::optional<Member> leader) {
    const auto& postgresql = agent_.postgresql;
    const std::vector<config::PgUser> users{postgresql.superuser, postgresql.replication, postgresql.rewind};
    std::vector<std::string> roles;
    for (const config::PgUser& user : users)
        if (!user.username.empty() && !user.other_password.empty()) roles.push_back(user.username);
    auto stored = co_await stored_passwords(roles);
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    const std::string late = co_await workers_.run([&]() -> std::string {
        for (const config::PgUser& user : users)
            if (stored->contains(user.username) &&
                !is_password_of(stored->at(user.username), user.username, user.password))
                return user.username;
        return {};
    });
    if (!late.empty())
        co_return fail(Errc::unavailable,
                       fmt::format("its server has not replayed the new password of role {} yet", late));

    FileFacts facts;
    facts.postmaster = co_await find_server();
    const Login own = login_for(facts, session_name);
    auto proven = co_await prove_login(clock_, own.user, own.endpoint, false, own.database);
    if (is_in_doubt(proven)) co_return fail("logging in to its own server", std::move(proven.error()));
    if (!leader) co_return Result<>{};
    const Endpoint there{leader->host, leader->port};
    proven = co_await prove_login(clock_, postgresql.replication, there, true, {});
    if (is_in_doubt(proven)) co_return fail("logging in to the primary for replication", std::move(proven.error()));
    proven = co_await prove_login(clock_, rewind_user(agent_), there, false, postgresql.database);
    if (is_in_doubt(proven)) co_return fail("logging in to the primary for rewinds", std::move(proven.error()));
    co_return Result<>{};
}

Task<> LocalServer::renew_passfile() {
    const config::PgUser replication = agent_.postgresql.replication;
    if (!last_.accepts_connections || !last_.in_recovery || replication.password.empty()) co_return;
    Endpoint from;
    if (source_) {
        from = {source_->host, source_->port};
    } else if (const auto adopted = parse_conninfo(last_.primary_conninfo); adopted) {
        // An adopted standby keeps streaming from where it does.
        from = {value_of(*adopted, "host"), value_of(*adopted, "port")};
    }
    if (from.host.empty()) co_return;
    const std::string text = pgpass_text({from}, {co_await accepted_first(clock_, replication, from, true, {})});
    const Counted writing(writing_);
    const auto written = co_await workers_.run([this, text] { return files_.write_pgpass(text); });
    if (!written) log::error("the wal receiver's password file was not written: {}", written.error().line());
    // A refused wal receiver would wait for wal_retrieve_retry_interval; a reload wakes the startup process.
    if (written && last_.replication_state != "streaming") reload_server(last_.postmaster_pid);
}

/// A wal receiver that was refused in the middle of a rotation comes back with the other password, whoever is there to
/// drive the rotation.
void LocalServer::mind_passfile(const ServerState& state) {
    const bool two_passwords = !agent_.postgresql.replication.other_password.empty();
    if (!two_passwords || !state.in_recovery || state.replication_state == "streaming") return;
    if (renewing_passfile_ || clock_.now() < renew_passfile_at_) return;
    struct Renewal {
        static Task<> go(LocalServer& self) {
            co_await self.renew_passfile();
            self.renewing_passfile_ = false;
        }
    };
    renewing_passfile_ = true;
    renew_passfile_at_ = clock_.now() + between_renewals;
    spawn(executor_, "renewal of the password file", Renewal::go(*this));
}

}  // namespace pgkeel::postgres
