#include "log/log.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/message_types.hpp"
#include "pool/client.hpp"
#include "pool/client_login.hpp"
#include "pool/server.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <utility>

// What a client that has logged in sends. Most of it goes to the server as it came; what has to be seen is the begin of
// each message, and the names of prepared statements.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::frontend::Target;
namespace types = pgwire::frontend::types;
using Kind = pgwire::Front::Kind;

namespace {

Report fatal(std::string sqlstate, std::string message, std::string hint = {}) {
    return {.severity = Severity::fatal,
            .sqlstate = std::move(sqlstate),
            .message = std::move(message),
            .detail = {},
            .hint = std::move(hint)};
}

bool means_nothing_without_a_server(char type) {
    return type == types::copy_data || type == types::copy_done || type == types::copy_fail || type == types::flush;
}

}  // namespace

std::size_t Client::read_requests(std::string_view bytes) {
    std::size_t used = 0;
    std::size_t run = 0;  // from here to `used` goes to the server as it is
    const auto put_run = [&] {
        if (used > run) server_->wire().put(bytes.substr(run, used - run));
        run = used;
    };
    const auto drop = [&](std::size_t count) {
        if (server_ != nullptr) put_run();
        used += count;
        run = used;
    };
    while (used < bytes.size()) {
        const std::string_view rest = bytes.substr(used);
        const pgwire::Front front = scanner_.look(rest);
        if (front.kind == Kind::nothing) break;
        if (front.kind == Kind::refused) {
            if (server_ != nullptr) put_run();
            end({Severity::fatal, "08P01", scanner_.refusal(front).text, "", ""});
            return bytes.size();
        }
        if (front.kind == Kind::body) {
            scanner_.take(front, front.bytes);
            if (discarding_body_)
                drop(front.bytes);
            else
                used += front.bytes;
            continue;
        }
        discarding_body_ = false;
        const char type = front.head.type;
        if (type == types::terminate) {
            if (server_ != nullptr) put_run();
            leave("client close request");
            return bytes.size();
        }
        if (server_ == nullptr) {
            if (means_nothing_without_a_server(type)) {
                scanner_.take(front, front.bytes);
                discarding_body_ = true;
                drop(front.bytes);
                continue;
            }
            if (needs_name(type) && tracks_statements() && !is_enough_here(front, rest)) break;
            if (waits_for_text(front)) break;
            if (!take_server()) return state_ == State::gone ? bytes.size() : used;
        }
        if (needs_name(type) && tracks_statements() && !server_->is_skipping()) {
            put_run();
            const std::optional<std::size_t> replaced = put_renamed(front, rest);
            if (!replaced) break;  // not enough of it is here
            scanner_.take(front, front.bytes);
            run = used + *replaced;
            used += front.bytes;
            continue;
        }
        if (const auto refusal = refusal_of(type)) {
            put_run();
            end(*refusal);
            return bytes.size();
        }
        if (waits_for_text(front)) break;
        expect_answer(type, subject_of(front, rest));
        scanner_.take(front, front.bytes);
        used += front.bytes;
    }
    if (server_ == nullptr) return used;
    stats_->received += used;
    if (used > run)
        server_->wire().pass(bytes.substr(run, used - run));
    else if (used > 0)
        server_->wire().pass({});
    if (server_->wire().backed_up()) {
        is_held_back_ = true;
        wire_->stop_reading();
    }
    // It was kept for the rest of a message that the server did not wait for.
    if (!keeps_server() && transaction_since_ == Instant{} && scanner_.at_border() && server_->is_quiet() &&
        server_->status() == pgwire::backend::TransactionStatus::idle)
        give_back();
    return used;
}

/// Why a message of this type is none of a session's, if so.
std::optional<pgwire::backend::Report> Client::refusal_of(char type) const {
    static constexpr pgwire::TypeSet known{"QFPBDECSHdcf"};
    if (!known.has(type))
        return fatal("08P01", fmt::format("unexpected message of type {:#04x}", static_cast<unsigned char>(type)));
    if (type == types::query && worker_.config().settings.disable_pqexec)
        return fatal("0A000", "PQexec disabled", "use the extended query protocol");
    return std::nullopt;
}

/// An unknown one must not meet a statement that somebody has there under the name.
const std::string& Client::name_on_server(const StatementRef& statement) const {
    return statement ? statement->server_name : worker_.hub().unknown_statement;
}

/// What the server will answer.
void Client::expect_answer(char type, std::unique_ptr<Answer::Subject> subject) {
    using Asked = Answer::Kind;
    // None of these asks for anything.
    if (type == types::copy_data || type == types::flush) return;
    if (type == types::copy_done || type == types::copy_fail) return server_->end_copy_in();
    begin_request();
    switch (type) {
        case types::query:
        case types::function_call:
            return server_->expect(Asked::query, Answer::Way::forward, std::move(subject));
        case types::parse:
            return server_->expect(Asked::parse);
        case types::bind:
            return server_->expect(Asked::bind);
        case types::describe:
            return server_->expect(Asked::describe);
        case types::execute:
            return server_->expect(Asked::execute, Answer::Way::forward, std::move(subject));
        case types::close:
            return server_->expect(Asked::close);
        default:
            return server_->expect_sync();
    }
}

void Client::begin_request() {
    const Instant now = worker_.now();
    if (transaction_since_ == Instant{}) transaction_since_ = now;
    if (query_since_ == Instant{}) query_since_ = now;
}

bool Client::tracks_statements() const {
    return mode_ != config::PoolMode::session && worker_.config().settings.max_prepared_statements > 0;
}

bool Client::needs_name(char type) {
    return type == types::parse || type == types::bind || type == types::describe || type == types::close;
}

/// Of a message whose names are replaced: before that a server would wait with it.
bool Client::is_enough_here(const pgwire::Front& front, std::string_view bytes) {
    if (front.kind == Kind::whole) return true;
    if (front.head.type != types::bind) return false;
    const auto names = pgwire::frontend::read_bind_names(front.head, front.body(bytes));
    return !names || names->has_value();
}

/// What comes next depends on answers that are not here yet.
std::optional<std::size_t> Client::hold_back() {
    is_held_back_ = true;
    wire_->stop_reading();
    return std::nullopt;
}

/// Puts the message with the name its statement has on the server, or what stands for it. Returns how many bytes of it
/// that replaces; nothing while not enough of it is here.
std::optional<std::size_t> Client::put_renamed(const pgwire::Front& front, std::string_view bytes) {
    const char type = front.head.type;
    const auto most = static_cast<std::size_t>(worker_.config().settings.max_prepared_statements);
    const std::string_view body = front.body(bytes);
    const auto as_it_is = [&]() -> std::optional<std::size_t> {
        expect_answer(type);
        return 0;
    };
    if (type == types::bind) {
        const auto names = pgwire::frontend::read_bind_names(front.head, body);
        if (names && !*names) return std::nullopt;
        const StatementRef statement = names ? statements_.find((*names)->statement) : nullptr;
        if (names && server_->is_open((*names)->statement, nullptr)) return hold_back();
        if (names) note_bind(**names, statement.get());
        // What cannot be read, or the unnamed one.
        if (!names || (!statement && (*names)->statement.empty())) return as_it_is();
        std::string message;
        pgwire::Writer writer(message);
        write_bind_names(writer, front.head, **names, name_on_server(statement));
        if (!writer.ok()) return as_it_is();
        begin_request();
        ++stats_->binds;
        if (statement) {
            server_->prepare(statement, most);
            server_->expect(Answer::Kind::bind);
        } else {
            server_->expect_unknown(Answer::Kind::bind, std::string((*names)->statement));
        }
        server_->wire().put(message);
        return pgwire::head_bytes + (*names)->bytes();
    }
    if (front.kind != Kind::whole) return std::nullopt;
    if (type == types::parse) {
        const auto parse = pgwire::frontend::read_parse(body);
        if (parse) note_parse(*parse);
        if (!parse || parse->name.empty()) return as_it_is();
        const std::string name(parse->name);
        const StatementRef statement = worker_.hub().statements.of(parse->query, parse->types.raw);
        if (server_->is_open(name, statement)) return hold_back();
        begin_request();
        ++stats_->client_parses;
        const StatementRef known = statements_.find(parse->name);
        if (known && !statements_.is_in_doubt(parse->name)) {
            server_->parse_again(known, name, most);
        } else {
            statements_.add(parse->name, statement);
            server_->parse(statement, name, most);
            server_->answer_what_is_due();
        }
        return front.bytes;
    }
    const auto target = pgwire::frontend::read_target(body);
    if (!target || target->kind != Target::Kind::statement || target->name.empty()) return as_it_is();
    if (server_->is_open(target->name, nullptr)) return hold_back();
    const StatementRef statement = statements_.find(target->name);
    if (type == types::close) {
        // The server keeps it, for others.
        begin_request();
        statements_.remove(target->name);
        server_->close_for(std::string(target->name), statement);
        server_->answer_what_is_due();
        return front.bytes;
    }
    begin_request();
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_describe(writer, {Target::Kind::statement, name_on_server(statement)});
    if (statement) {
        server_->prepare(statement, most);
        server_->expect(Answer::Kind::describe);
    } else {
        server_->expect_unknown(Answer::Kind::describe, std::string(target->name));
    }
    server_->wire().put(message);
    return front.bytes;
}

std::size_t Client::read_console(std::string_view bytes) {
    if (console_->busy()) {
        wire_->stop_reading();
        return 0;
    }
    const pgwire::Front front = scanner_.look(bytes);
    if (front.kind == Kind::refused) {
        end({Severity::fatal, "08P01", scanner_.refusal(front).text, "", ""});
        return bytes.size();
    }
    if (front.kind != Kind::whole) return 0;
    scanner_.take(front, front.bytes);
    if (front.head.type == types::terminate)
        leave("client close request");
    else {
        if (front.head.type == types::query || front.head.type == types::sync) {
            ++worker_.console_stats().queries;
            ++worker_.console_stats().transactions;
        }
        console_->message(front.head.type, front.body(bytes));
    }
    return front.bytes;
}

}  // namespace pgkeel::pool
