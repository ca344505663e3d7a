#include "pool/server.hpp"

#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/message_types.hpp"
#include "pool/server_login.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

// A server that has logged in: what it answers, and to whom that goes.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::backend::TransactionStatus;
using pgwire::frontend::Target;
namespace types = pgwire::backend::types;

namespace {

/// A longer error is not looked into: its connection is closed.
constexpr std::uint32_t seen_message_max = 1 << 16;

bool needs_body(char type) {
    return type == types::ready_for_query || type == types::command_complete || type == types::error_response ||
           type == types::notice_response || type == types::parameter_status;
}

/// An error says that there is less than the client believes, the others belong to the session.
bool is_seen_in_doubt(char type) {
    return type == types::ready_for_query || type == types::error_response || type == types::parameter_status ||
           type == types::notification_response;
}

}  // namespace

Server::Server(Worker& worker, ServerId id, PoolRecord& pool, Opening opening)
    : worker_(&worker),
      id_(id),
      pool_(pool),
      opening_(std::move(opening)),
      number_(++worker.hub().numbers),
      began_(worker.now()),
      since_(began_),
      connected_at_(worker.around().wall_now()) {}

Server::~Server() = default;

std::string Server::label() const {
    return fmt::format("S-{}: {}/{}@{}:{}", fmt::ptr(this), pool_.database->name, pool_.user->name,
                       address_.empty() ? "?" : address_, port_);
}

void Server::end(const std::string& why) {
    if (state_ == State::gone) return;
    if (worker_->config().settings.log_disconnections)
        log::info("{} closing because: {} (age={}s)", label(), why,
                  std::chrono::duration_cast<std::chrono::seconds>(worker_->now() - began_).count());
    const bool was_logging_in = state_ == State::connecting || state_ == State::logging_in;
    state_ = State::gone;
    partner_ = nullptr;
    if (wire_ && !was_logging_in) {
        std::string farewell;
        pgwire::Writer writer(farewell);
        pgwire::frontend::write_terminate(writer);
        wire_->put(farewell);
    }
    wire_.reset();
    Orders orders;
    {
        const std::scoped_lock lock(worker_->hub().mutex);
        leave_place();
        worker_->hub().book.gone(id_, worker_->now(), orders);
    }
    worker_->bury(*this);
    worker_->carry_out(orders);
    if (!tested_for_) return;
    // It was found dead before anything was asked of it.
    if (Client* const client = worker_->client(*std::exchange(tested_for_, std::nullopt)); client && client->wants())
        client->want_again();
}

void Server::fail(const Report& why, bool told) {
    Partner* const partner = std::exchange(partner_, nullptr);
    end(why.message);
    if (partner != nullptr) partner->server_gone(why, told);
}

/// Under the mutex.
void Server::leave_place() {
    if (!place_.empty()) --pool_.servers_at[place_];
}

// ---- asking

void Server::expect(Answer::Kind kind, Answer::Way way, std::unique_ptr<Answer::Subject> subject) {
    if (skipping_) {
        if (kind != Answer::Kind::sync) return;
        skipping_ = false;
    }
    answers_.push({kind, way, std::move(subject)});
}

void Server::expect_sync() {
    if (copying_in_)
        ++ignored_syncs_;
    else
        expect(Answer::Kind::sync);
}

void Server::end_copy_in() {
    if (copying_in_)
        copying_in_ = false;
    else if (!answers_.empty())
        expect(Answer::Kind::copy_end);
}

void Server::answer_what_is_due() {
    while (!answers_.empty() && answers_.front().way == Answer::Way::make) {
        const Answer made = answers_.pop();
        std::string message;
        pgwire::Writer writer(message);
        if (made.kind == Answer::Kind::parse)
            pgwire::backend::write_parse_complete(writer);
        else
            pgwire::backend::write_close_complete(writer);
        if (partner_ != nullptr && !in_doubt_) partner_->deliver(message);
    }
}

void Server::prepare(const StatementRef& statement, std::size_t most) {
    if (statements_.use(*statement)) return;
    ++worker_->stats(pool_).server_parses;
    std::string messages;
    pgwire::Writer writer(messages);
    for (StatementRef& evicted : statements_.add(statement, most)) {
        pgwire::frontend::write_close(writer, {Target::Kind::statement, evicted->server_name});
        expect(Answer::Kind::close, Answer::Way::swallow,
               std::make_unique<Answer::Subject>(Answer::Subject{std::move(evicted), "", false}));
    }
    pgwire::frontend::write_parse(writer, statement->server_name,
                                  {.name = {}, .query = statement->query, .types = {statement->types}});
    expect(Answer::Kind::parse, Answer::Way::swallow,
           std::make_unique<Answer::Subject>(Answer::Subject{statement, "", false}));
    wire_->put(messages);
}

void Server::parse(const StatementRef& statement, const std::string& client_name, std::size_t most) {
    auto subject = std::make_unique<Answer::Subject>(Answer::Subject{statement, client_name, false});
    if (statements_.use(*statement)) {
        expect(Answer::Kind::parse, Answer::Way::make, std::move(subject));
        return;
    }
    prepare(statement, most);
    Answer& asked = answers_[answers_.size() - 1];
    asked.way = Answer::Way::forward;
    asked.subject = std::move(subject);
}

void Server::parse_again(const StatementRef& statement, const std::string& client_name, std::size_t most) {
    prepare(statement, most);
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_parse(writer, statement->server_name,
                                  {.name = {}, .query = statement->query, .types = {statement->types}});
    expect(Answer::Kind::parse, Answer::Way::forward,
           std::make_unique<Answer::Subject>(Answer::Subject{nullptr, client_name, true}));
    wire_->put(message);
}

void Server::expect_unknown(Answer::Kind kind, std::string client_name) {
    expect(kind, Answer::Way::forward,
           std::make_unique<Answer::Subject>(
               Answer::Subject{.statement = {}, .client_name = std::move(client_name), .unknown = true}));
}

void Server::close_for(const std::string& client_name, const StatementRef& statement) {
    expect(Answer::Kind::close, Answer::Way::make,
           std::make_unique<Answer::Subject>(Answer::Subject{statement, client_name, false}));
}

bool Server::put_settings(const Settings& wanted) {
    if (settings_ == wanted) return false;
    const std::string statement = settings_statement(settings_, wanted, &reported_);
    if (statement.empty()) return false;
    log::debug("{} varcache_apply: {}", label(), statement);
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_query(writer, statement);
    if (!writer.ok()) return false;
    settings_error_.reset();
    wanted_ = wanted;
    expect(Answer::Kind::query, Answer::Way::swallow);
    wire_->put(message);
    return true;
}

void Server::run_own(std::string_view sql) {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_query(writer, sql);
    own_failed_ = false;
    expect(Answer::Kind::query, Answer::Way::swallow);
    wire_->put(message);
}

// ---- beginning and ending to work for somebody

void Server::test_for(ClientRef client) {
    tested_for_ = client;
    state_ = State::testing;
    since_ = worker_->now();
    const std::string& query = worker_->config().settings.server_check_query;
    run_own(query == "<empty>" ? "" : query);
}

void Server::link(Partner& partner) {
    partner_ = &partner;
    state_ = State::linked;
    since_ = worker_->now();
    last_words_ = false;
    partner.linked(*this);
}

void Server::release() {
    if (state_ == State::gone) return;
    partner_ = nullptr;
    wire_->start_reading();
    if (!is_quiet() || copying_both_) return end("client left in the middle of a query");
    if (is_doubtful_) return end("client has sent Sync while it copied in");
    if (status_ != TransactionStatus::idle) {
        state_ = State::cleaning;
        return run_own("ROLLBACK");
    }
    clean_up();
}

/// Outside a transaction, and nothing is under way.
void Server::clean_up() {
    const config::PoolerSettings& settings = worker_->config().settings;
    const std::string& query = settings.server_reset_query;
    const bool reset = needs_reset_ && (must_reset_ || !query.empty()) && opening_.is_ordinary();
    state_ = State::cleaning;
    if (!reset) return go_idle();
    needs_reset_ = must_reset_ = false;
    is_resetting_ = true;
    run_own(query.empty() ? "DISCARD ALL" : query);
}

void Server::go_idle() {
    if (cancels_ > 0) {
        release_when_quiet_ = true;
        return;
    }
    state_ = State::idle;
    since_ = worker_->now();
    Orders orders;
    {
        const std::scoped_lock lock(worker_->hub().mutex);
        worker_->hub().book.released(id_, since_, orders);
    }
    if (worker_->is_leaving()) worker_->offer_later(id_);
    worker_->carry_out(orders);
}

void Server::cancel_ends() {
    if (--cancels_ > 0 || !std::exchange(release_when_quiet_, false) || state_ == State::gone) return;
    go_idle();
}

void Server::now_on(Worker& worker, OwnedWire wire) {
    worker_ = &worker;
    wire_ = std::move(wire);
}

// ---- what comes

std::size_t Server::received(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::gone) {
        const std::string_view rest = bytes.substr(used);
        std::size_t taken = 0;
        if (state_ == State::connecting || state_ == State::logging_in)
            taken = login_->waits_for_tls_answer ? read_tls_answer(rest) : read_login(rest);
        else if (state_ == State::idle)
            taken = read_idle(rest);
        else
            taken = read_answers(rest);
        if (taken == 0) break;
        used += taken;
    }
    return state_ == State::gone ? bytes.size() : used;
}

std::size_t Server::read_idle(std::string_view bytes) {
    const pgwire::Front front = scanner_.look(bytes);
    if (front.kind == pgwire::Front::Kind::refused) {
        end(scanner_.refusal(front).text);
        return 0;
    }
    if (front.kind == pgwire::Front::Kind::nothing ||
        (front.kind == pgwire::Front::Kind::begun && front.head.length <= seen_message_max))
        return 0;
    const std::string_view body = front.kind == pgwire::Front::Kind::whole ? front.body(bytes) : std::string_view();
    scanner_.take(front, front.bytes);
    if (front.kind == pgwire::Front::Kind::body) return front.bytes;
    if (front.head.type == types::parameter_status)
        judge_parameter(body);
    else if (front.head.type == types::error_response) {
        const auto fields = pgwire::backend::read_error_fields(body);
        end(fields ? std::string(fields->message) : "an error of an idle server");
    } else if (front.head.type != types::notice_response && front.head.type != types::notification_response) {
        end("unexpected message of an idle server");
    }
    return front.bytes;
}

std::size_t Server::read_answers(std::string_view bytes) {
    using Kind = pgwire::Front::Kind;
    std::size_t used = 0;
    std::size_t run = 0;  // from here to `used` is for the partner
    const auto deliver = [&] {
        if (used > run && partner_ != nullptr) partner_->deliver(bytes.substr(run, used - run));
        run = used;
    };
    while (used < bytes.size()) {
        pgwire::Front front;
        const bool own = swallowing_body_ || in_doubt_ || partner_ == nullptr ||
                         (!answers_.empty() && answers_.front().way == Answer::Way::swallow);
        if (own) {
            front = scanner_.look(bytes.substr(used));
        } else {
            const pgwire::Passed passed = scanner_.pass(bytes.substr(used), pgwire::server_landmarks);
            used += passed.bytes;
            front = passed.next;
        }
        if (front.kind == Kind::nothing) break;
        if (front.kind == Kind::refused) {
            deliver();
            fail({.severity = Severity::fatal,
                  .sqlstate = "08P01",
                  .message = "server sent what is not the protocol",
                  .detail = scanner_.refusal(front).text,
                  .hint = {}});
            return used;
        }
        const std::string_view rest = bytes.substr(used);
        if (front.kind == Kind::body) {
            scanner_.take(front, front.bytes);
            if (swallowing_body_) {
                deliver();
                run = used + front.bytes;
                swallowing_body_ = !scanner_.at_border();
            }
            used += front.bytes;
            continue;
        }
        if (front.kind == Kind::begun && needs_body(front.head.type) && front.head.length <= seen_message_max) break;
        const std::string_view body = front.kind == Kind::whole ? front.body(rest) : std::string_view();
        const bool forward = judge(front.head.type, body) && (!in_doubt_ || is_seen_in_doubt(front.head.type));
        scanner_.take(front, front.bytes);
        if (!forward) {
            deliver();
            run = used + front.bytes;
            swallowing_body_ = front.kind == Kind::begun;
        }
        used += front.bytes;
        if (confused_) {
            deliver();
            fail({.severity = Severity::fatal,
                  .sqlstate = "08P01",
                  .message = "server answers what it was not asked",
                  .detail = {},
                  .hint = {}});
            return used;
        }
        if (!made_.empty()) {
            deliver();
            if (partner_ != nullptr) partner_->deliver(made_);
            made_.clear();
        }
        if (!answers_.empty() && answers_.front().way == Answer::Way::make) {
            deliver();
            answer_what_is_due();
        }
        if (std::exchange(ready_now_, false)) {
            deliver();
            after_ready();
            return used;
        }
    }
    deliver();
    if (partner_ != nullptr && partner_->is_full()) wire_->stop_reading();
    return used;
}

bool Server::judge(char type, std::string_view body) {
    const bool any = !answers_.empty();
    const Answer::Kind front = any ? answers_.front().kind : Answer::Kind::query;
    const bool own = any ? answers_.front().way == Answer::Way::swallow : partner_ == nullptr;
    const auto ends = [&](Answer::Kind kind) {
        if (any && front == kind)
            answers_.pop();
        else
            confused_ = true;
    };
    switch (type) {
        case types::parse_complete:
            ends(Answer::Kind::parse);
            return !own;
        case types::bind_complete:
            ends(Answer::Kind::bind);
            return !own;
        case types::close_complete:
            ends(Answer::Kind::close);
            return !own;
        case types::row_description:
        case types::no_data:
            if (any && front == Answer::Kind::describe) answers_.pop();
            return !own;
        case types::command_complete: {
            ignored_syncs_ = 0;
            const std::string_view tag = body.substr(0, body.find('\0'));
            if (!own && (tag == "DEALLOCATE ALL" || tag == "DISCARD ALL")) forget_statements();
            const bool is_known = !own && tell_effects(tag);
            if (!is_known && (tag == "DISCARD ALL" || (!own && (tag == "SET" || tag == "RESET")))) doubt_unreported();
            if (any && front == Answer::Kind::execute) answers_.pop();
            return !own;
        }
        case types::portal_suspended:
            // Perhaps all of it was done.
            if (!own) tell_effects({});
            [[fallthrough]];
        case types::empty_query_response:
            if (any && front == Answer::Kind::execute) answers_.pop();
            return !own;
        case types::copy_in_response:
            if (in_doubt_) refuse_copy();
            if (any) {
                const Answers::Copy copy = answers_.begin_copy();
                ignored_syncs_ = copy.syncs;
                copying_in_ = !copy.has_ended;
                if (partner_ != nullptr) partner_->caught_up();
            }
            return !own;
        case types::copy_both_response:
            copying_both_ = true;
            return !own;
        case types::error_response:
            return judge_error(body);
        case types::parameter_status:
            return judge_parameter(body);
        case types::ready_for_query:
            return judge_ready(body);
        case types::notification_response:
            return partner_ != nullptr;
        case types::notice_response:
            return !own && !is_unconfirmed_commit(body);
        default:
            return !own;
    }
}

/// Of the statement that has ended at the front. Whether its partner keeps `settings_` true.
bool Server::tell_effects(std::string_view tag) {
    if (partner_ == nullptr) return false;
    Answer::Subject* const subject = answers_.empty() ? nullptr : answers_.front().subject.get();
    if (subject == nullptr || !subject->effects) return partner_->completed(tag, {});
    const SessionEffects& all = *subject->effects;
    if (answers_.front().kind != Answer::Kind::query) return partner_->completed(tag, all);
    const auto those = std::ranges::equal_range(all, subject->completed++, {}, &SessionEffect::statement);
    return partner_->completed(tag, those);
}

void Server::setting_learned(std::string_view name, const std::string* value) {
    const Settings now = value != nullptr ? settings_.with(name, *value) : settings_.without(name);
    settings_ = worker_->shared_settings().share(now);
}

/// Those that it does not report have their defaults.
void Server::settings_forgotten() {
    const Settings had = settings_;
    for (const Setting& setting : had.list())
        if (!is_reported(setting.name)) settings_ = settings_.without(setting.name);
    settings_ = worker_->shared_settings().share(settings_);
}

bool Server::judge_error(std::string_view body) {
    const auto fields = pgwire::backend::read_error_fields(body);
    copying_in_ = false;
    is_doubtful_ = is_doubtful_ || std::exchange(ignored_syncs_, 0) > 0;
    const bool fatal = fields && fields->ends_the_connection();
    if (answers_.empty()) {
        last_words_ = fatal;
        return partner_ != nullptr;
    }
    Answer& front = answers_.front();
    const bool own = front.kind == Answer::Kind::query && front.way == Answer::Way::swallow;
    if (partner_ != nullptr && !own) partner_->failed();
    if (front.kind == Answer::Kind::query) {
        if (own) {
            own_failed_ = true;
            settings_error_ = Report{.severity = Severity::error,
                                     .sqlstate = fields ? std::string(fields->sqlstate) : "",
                                     .message = fields ? std::string(fields->message) : "error without a text",
                                     .detail = {},
                                     .hint = {}};
        }
        if (front.subject) front.subject->effects.reset();
        last_words_ = fatal && !own;
        return !own;
    }
    const bool forward = front.subject == nullptr || !say_in_own_name(*front.subject, fields ? fields->sqlstate : "");
    skip_to_sync();
    last_words_ = fatal && forward;
    return forward;
}

/// Where the server's error names a statement that the client knows by another name, or not at all.
bool Server::say_in_own_name(const Answer::Subject& subject, std::string_view sqlstate) {
    const bool taken = subject.taken && sqlstate == "42P05";
    if (!taken && !(subject.unknown && sqlstate == "26000")) return false;
    if (taken) log::info("{} prepared statement '{}' was already prepared", label(), subject.client_name);
    pgwire::Writer writer(made_);
    pgwire::backend::write_error_response(writer,
                                          {.severity = Severity::error,
                                           .sqlstate = std::string(sqlstate),
                                           .message = fmt::format("prepared statement \"{}\" {}", subject.client_name,
                                                                  taken ? "already exists" : "does not exist"),
                                           .detail = {},
                                           .hint = {}});
    return true;
}

/// A commit whose wait for a synchronous standby was cancelled has happened on this server alone, and may be lost with
/// it. PostgreSQL says so in a warning and reports success; natively the client gets an error instead. Not of class 40:
/// who repeats transactions by that would do this one twice.
bool Server::is_unconfirmed_commit(std::string_view body) {
    if (partner_ == nullptr || in_doubt_ || worker_->config().settings.pgbouncer_compat) return false;
    const auto fields = pgwire::backend::read_error_fields(body);
    if (!fields || fields->severity != "WARNING" || fields->routine != "SyncRepWaitForLSN") return false;
    log::warning("{} a commit was not confirmed by a synchronous standby: {}", label(), fields->message);
    pgwire::Writer writer(made_);
    pgwire::backend::write_error_response(
        writer, {.severity = Severity::error,
                 .sqlstate = "08007",
                 .message = "the transaction is committed on the primary, and no synchronous standby has confirmed it",
                 .detail = fmt::format("The server said: {}.", fields->message),
                 .hint = "It is lost if the primary is lost now. Look whether it is there before you repeat it."});
    in_doubt_ = true;
    return true;
}

/// Its client believes that an error has ended its request, and will send nothing.
void Server::refuse_copy() {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_copy_fail(writer, "the commit before was not confirmed by a synchronous standby");
    wire_->put(message);
}

/// The server ignores everything up to the next Sync (PostgreSQL, "Extended Query").
void Server::skip_to_sync() {
    std::vector<Answer> skipped;
    while (!answers_.empty() && answers_.front().kind != Answer::Kind::sync) skipped.push_back(answers_.pop());
    // The last first: what was closed and prepared again under one name is closed no more.
    for (std::size_t i = skipped.size(); i-- > 0;) undo(skipped[i], i == 0);
    skipping_ = answers_.empty();
}

/// \param failed  it is the one that had the error, not one behind it
void Server::undo(Answer& answer, bool failed) {
    if (!answer.subject) return;
    const Answer::Subject& subject = *answer.subject;
    const bool of_client = !subject.client_name.empty() && !subject.taken && partner_ != nullptr;
    if (answer.kind == Answer::Kind::parse) {
        if (subject.statement && answer.way != Answer::Way::make) statements_.remove(subject.statement->number);
        if (of_client && failed)
            partner_->statement_failed(subject.client_name);
        else if (of_client)
            partner_->statement_skipped(subject.client_name);
    } else if (answer.kind == Answer::Kind::close && subject.statement) {
        if (of_client)
            partner_->statement_kept(subject.client_name, subject.statement);
        else if (subject.client_name.empty())
            statements_.keep(subject.statement);
    }
}

/// At the client's wish. What it has sent since is prepared after that.
void Server::forget_statements() {
    statements_.clear();
    partner_->statements_forgotten();
    for (std::size_t i = 0; i < answers_.size(); ++i) {
        const Answer& answer = answers_[i];
        if (!answer.subject || !answer.subject->statement) continue;
        const StatementRef& statement = answer.subject->statement;
        const std::string& client_name = answer.subject->client_name;
        const bool of_client = !client_name.empty() && !answer.subject->taken;
        if (answer.kind == Answer::Kind::parse) {
            if (answer.way != Answer::Way::make) statements_.keep(statement);
            if (of_client) partner_->statement_kept(client_name, statement);
        } else if (answer.kind == Answer::Kind::close && of_client) {
            partner_->statement_failed(client_name);
        }
    }
}

bool Server::judge_parameter(std::string_view body) {
    const bool own = !answers_.empty() && answers_.front().way == Answer::Way::swallow;
    const auto parameter = pgwire::backend::read_parameter_status(body);
    if (parameter && worker_->tracks(parameter->name)) {
        settings_ = worker_->shared_settings().share(settings_.with(parameter->name, parameter->value));
        if (partner_ != nullptr) partner_->setting_reported(parameter->name, parameter->value);
    }
    return !own && partner_ != nullptr;
}

bool Server::judge_ready(std::string_view body) {
    const auto status = pgwire::backend::read_ready_for_query(body);
    if (!status) {
        confused_ = true;
        return false;
    }
    // One that is passed on unasked would end the next client's question, and its rows would be another's.
    if (answers_.empty() && !is_doubtful_) {
        confused_ = true;
        return false;
    }
    status_ = *status;
    bool own = partner_ == nullptr;
    while (!answers_.empty()) {
        const Answer over = answers_.pop();
        own = over.way == Answer::Way::swallow;
        // The text was cut into other statements than the server has found.
        if (over.kind == Answer::Kind::query && over.subject && over.subject->effects && partner_ != nullptr)
            for (const SessionEffect& effect : *over.subject->effects)
                if (effect.statement >= over.subject->completed) partner_->completed({}, {&effect, 1});
        if (over.kind == Answer::Kind::query || over.kind == Answer::Kind::sync) break;
    }
    skipping_ = copying_in_ = copying_both_ = in_doubt_ = false;
    ignored_syncs_ = 0;
    ready_now_ = true;
    ready_own_ = own;
    if (!own && partner_ != nullptr) partner_->transaction_is(status_);
    return !own;
}

void Server::settings_answered() {
    if (!settings_error_) {
        const Settings had = settings_;
        for (const Setting& setting : wanted_.list()) {
            const std::string* reported = is_reported(setting.name) ? settings_.find(setting.name) : nullptr;
            if (reported == nullptr) {
                settings_ = settings_.with(setting.name, setting.value);
            } else if (*reported != setting.value) {
                // No change was reported, or another spelling: it has the same meaning, written in the server's way.
                log::debug("{} varcache_set_canonical: setting {} to its canonical version {} -> {}", label(),
                           setting.name, setting.value, *reported);
                if (partner_ != nullptr) partner_->setting_reported(setting.name, *reported);
            }
        }
        for (const Setting& setting : had.list())
            if (!is_reported(setting.name) && wanted_.find(setting.name) == nullptr)
                settings_ = settings_.without(setting.name);
        settings_ = worker_->shared_settings().share(settings_);
    }
    wanted_ = {};
    if (partner_ != nullptr) partner_->settings_applied(settings_error_ ? &*settings_error_ : nullptr);
}

/// They may have been changed, and the server does not say so: for whoever comes next they are set anew.
void Server::doubt_unreported() {
    constexpr std::string_view unknown("\0", 1);  // no client can want it
    const Settings had = settings_;
    for (const Setting& setting : had.list())
        if (!is_reported(setting.name)) settings_ = settings_.with(setting.name, unknown);
}

void Server::after_ready() {
    if (state_ == State::setting_up) return ready();
    if (state_ == State::testing) {
        if (own_failed_) return fail({Severity::fatal, "08006", "test query failed", "", ""});
        Client* const client = worker_->client(*std::exchange(tested_for_, std::nullopt));
        return client != nullptr && client->wants() ? link(client->partner()) : release();
    }
    if (state_ == State::cleaning) {
        if (own_failed_) return end("reset query failed");
        if (std::exchange(is_resetting_, false)) {
            statements_.clear();
            return go_idle();
        }
        return clean_up();
    }
    if (ready_own_) return settings_answered();
    if (is_quiet()) return partner_->answered();
    partner_->caught_up();
}

void Server::drained() {
    if (partner_ != nullptr) partner_->server_drained();
}

void Server::closed(const std::string& why) {
    switch (state_) {
        case State::connecting:
        case State::logging_in:
            return login_failed({.severity = Severity::fatal,
                                 .sqlstate = "08006",
                                 .message = why.empty() ? "server conn crashed?" : "connect failed",
                                 .detail = why,
                                 .hint = {}},
                                false);
        case State::linked:
        case State::testing:
            return fail({.severity = Severity::fatal,
                         .sqlstate = "08006",
                         .message = "server conn crashed?",
                         .detail = why,
                         .hint = {}},
                        last_words_);
        case State::gone:
            return;
        default:
            return end("server conn crashed?");
    }
}

}  // namespace pgkeel::pool
