#include "pool/auth_query.hpp"

#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/message_types.hpp"
#include "pool/client_login.hpp"
#include "pool/server.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pgkeel::pool {

namespace types = pgwire::backend::types;

AuthQuery::~AuthQuery() {
    if (server_ != nullptr) server_->release();
}

void AuthQuery::ask() {
    Worker& worker = client_.worker();
    const config::PoolerSettings& settings = worker.config().settings;
    std::optional<std::string> problem;
    std::optional<pgwire::backend::Report> refusal;
    bool nowhere = false;
    Orders orders;
    {
        Hub& hub = worker.hub();
        const std::scoped_lock lock(hub.mutex);
        DatabaseRecord* database = client_.database();
        const std::string& elsewhere = database != nullptr && !database->entry.auth_dbname.empty()
                                           ? database->entry.auth_dbname
                                           : settings.auth_dbname;
        bool registered = false;
        const std::string& asked = elsewhere.empty() ? client_.login_->startup.database : elsewhere;
        if (asked == "pgbouncer") {
            problem = "cannot use the reserved \"pgbouncer\" database as an auth_dbname";
        } else if (!elsewhere.empty()) {
            database = hub.find_database(elsewhere, worker.now(), registered);
            if (database == nullptr)
                problem = fmt::format("authentication database \"{}\" is not configured", elsewhere);
            else if (database->disabled)
                refusal = {.severity = pgwire::backend::Severity::fatal,
                           .sqlstate = "08006",
                           .message = fmt::format("authentication database \"{}\" is disabled", elsewhere),
                           .detail = {},
                           .hint = {}};
        }
        nowhere = database == nullptr;
        if (!nowhere && !refusal) {
            pool_ = &hub.pool(*database, hub.user(auth_user_), hub.route_of(*database, client_.listener_->route));
            refusal = worker.refusal(*pool_);
            if (!refusal) client_.wait_for(*pool_, orders);
        }
    }
    if (problem) return finish(fail(Errc::not_found, *problem, "set auth_dbname to a configured database"));
    if (refusal) return client_.end(*refusal);
    if (nowhere) return finish(std::optional<auth::Secret>());
    worker.carry_out(orders);
}

void AuthQuery::linked(Server& server) {
    client_.login_->was_asked = true;
    server_ = &server;
    client_.forget_waiter();
    Worker& worker = client_.worker();
    std::shared_ptr<const Welcome> welcome;
    {
        const std::scoped_lock lock(worker.hub().mutex);
        welcome = pool_->welcome;
    }
    if (welcome) server.put_settings(welcome->tracked);
    const std::string& query = worker.config().settings.auth_query;
    const std::string& of_database =
        client_.database() != nullptr ? client_.database()->entry.auth_query : std::string();
    std::string messages;
    pgwire::Writer writer(messages);
    const std::array<std::optional<std::string_view>, 1> user{client_.login_->startup.user};
    pgwire::frontend::write_parse(writer, "",
                                  {.name = {}, .query = of_database.empty() ? query : of_database, .types = {}});
    pgwire::frontend::write_bind(writer, "", "", user);
    pgwire::frontend::write_execute(writer, {});
    pgwire::frontend::write_sync(writer);
    for (const Answer::Kind kind : {Answer::Kind::parse, Answer::Kind::bind, Answer::Kind::execute, Answer::Kind::sync})
        server.expect(kind);
    server.wire().pass(messages);
}

void AuthQuery::answered() {
    std::exchange(server_, nullptr)->release();
    finish(read_answer());
}

Result<std::optional<auth::Secret>> AuthQuery::read_answer() const {
    pgwire::Scanner scanner(pgwire::Origin::backend);
    std::optional<auth::Secret> found;
    for (std::string_view rest = answer_; !rest.empty();) {
        const pgwire::Front front = scanner.look(rest);
        if (front.kind != pgwire::Front::Kind::whole)
            return fail(Errc::postgres_error, "auth_query: the server's answer is cut off");
        if (front.head.type == types::error_response) {
            const auto fields = pgwire::backend::read_error_fields(front.body(rest));
            return fail(Errc::postgres_error,
                        fmt::format("auth_query: {}", fields ? fields->message : "error without a text"));
        }
        if (front.head.type == types::data_row) {
            const auto row = pgwire::backend::read_data_row(front.body(rest));
            if (!row || row->size() != 2)
                return fail(Errc::postgres_error, "auth_query: the answer must have two columns, name and secret");
            // No secret is nobody's, and an expired one comes as none.
            if (const auto& secret = (*row)[1]; (*row)[0] && secret) {
                auto read = auth::Secret::parse(*secret);
                if (!read) return std::unexpected(std::move(read.error()));
                found = std::move(*read);
            } else if ((*row)[0]) {
                found = auth::Secret();
            }
        }
        scanner.take(front, front.bytes);
        rest.remove_prefix(front.bytes);
    }
    return found;
}

void AuthQuery::server_gone(const pgwire::backend::Report& why, bool) {
    server_ = nullptr;
    finish(fail(Errc::unavailable, fmt::format("auth_query: {}", why.message)));
}

void AuthQuery::refused(const pgwire::backend::Report& why) {
    client_.end(why);
}

/// The client may end this object's life in it.
void AuthQuery::finish(Result<std::optional<auth::Secret>> secret) {
    client_.auth_query_answered(std::move(secret));
}

}  // namespace pgkeel::pool
