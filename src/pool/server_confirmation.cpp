#include "pool/server.hpp"

#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/message_types.hpp"
#include "pool/withheld.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <utility>

// Commits that have not been confirmed by a synchronous standby, although PostgreSQL reports success: a cancel request
// ends such a commit's wait (PostgreSQL, SyncRepWaitForLSN). Decision 0008.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::backend::TransactionStatus;
namespace types = pgwire::backend::types;

namespace {

constexpr std::size_t withheld_max = 1 << 16;  // bytes

/// A commit that waits as the client's has to. Nothing is written where none waits. With the warning that tells when
/// this one's wait is cut short.
constexpr std::string_view another_commit =
    "SELECT pg_catalog.set_config('client_min_messages', 'warning', true), CASE pg_catalog.current_setting("
    "'synchronous_commit') WHEN 'remote_apply' THEN '' ELSE pg_catalog.set_config('synchronous_commit', 'on', true) "
    "END, "
    "CASE WHEN pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('synchronous_standby_names') "
    "OPERATOR(pg_catalog.=) '' THEN NULL ELSE pg_catalog.pg_logical_emit_message(true, 'pgkeel', '') END";
constexpr std::string_view its_name = "PGKEEL_another_commit";

/// Of class 08 and not 40: who repeats transactions by that would do this one twice.
Report unconfirmed(Severity severity, std::string message, std::string detail) {
    return {.severity = severity,
            .sqlstate = "08007",
            .message = std::move(message),
            .detail = std::move(detail),
            .hint = "It is lost if the primary is lost now. Look whether it is there before you repeat it."};
}

void write_unconfirmed(pgwire::Writer& out, std::string detail) {
    pgwire::backend::write_error_response(
        out, unconfirmed(Severity::error,
                         "the transaction is committed on the primary, and no synchronous standby has confirmed it",
                         std::move(detail)));
}

/// What ends a transaction at once, also in the middle of an extended pipeline or of a query of several statements.
bool commits(std::string_view tag) {
    return tag == "COMMIT" || tag.ends_with(" PREPARED") || tag == "PREPARE TRANSACTION";
}

/// Of withheld messages, what is told whatever becomes of the request: what its session has reported up to the first
/// ReadyForQuery, and all behind that.
struct Rest {
    std::string of_session;
    std::string_view behind;
};
Rest rest_of(std::string_view messages) {
    Rest rest;
    pgwire::Scanner scanner(pgwire::Origin::backend);
    while (!messages.empty()) {
        const pgwire::Front front = scanner.look(messages);
        const std::string_view message = messages.substr(0, front.bytes);
        scanner.take(front, front.bytes);
        messages.remove_prefix(front.bytes);
        if (front.head.type == types::ready_for_query) {
            rest.behind = messages;
            break;
        }
        if (front.head.type == types::parameter_status || front.head.type == types::notification_response)
            rest.of_session += message;
    }
    return rest;
}

}  // namespace

/// The warning; natively its client gets an error instead.
bool Server::is_unconfirmed_commit(std::string_view body) {
    if (partner_ == nullptr || in_doubt_ || worker_->config().settings.pgbouncer_compat) return false;
    const auto fields = pgwire::backend::read_error_fields(body);
    if (!fields || fields->severity != "WARNING" || fields->routine != "SyncRepWaitForLSN") return false;
    log::warning("{} a commit was not confirmed by a synchronous standby: {}", label(), fields->message);
    if (is_asking()) {
        withheld_->cut_short = true;
        return true;
    }
    if (withheld_ != nullptr && withheld_->ready > 0) {
        withheld_->hopeless = true;
        return true;
    }
    if (withheld_ != nullptr) made_ += rest_of(withheld_->messages).of_session;
    withheld_.reset();
    pgwire::Writer writer(made_);
    write_unconfirmed(writer, fmt::format("The server said: {}.", fields->message));
    in_doubt_ = has_failed_ = true;
    return true;
}

bool Server::is_asking() const {
    return withheld_ != nullptr && withheld_->stage == Withheld::Stage::asking;
}

void Server::cancel_begins() {
    ++cancels_;
    if (partner_ != nullptr && opening_.is_ordinary() && !worker_->config().settings.pgbouncer_compat)
        is_suspect_ = true;
}

void Server::cancel_ends(bool certain) {
    --cancels_;
    if (!certain) cancel_is_loose_ = true;
    if (cancels_ > 0 || state_ == State::gone) return;
    if (withheld_ != nullptr && withheld_->stage == Withheld::Stage::waiting) {
        if (cancel_is_loose_)
            withheld_->hopeless = true;
        else
            ask_for_confirmation();
        if (withheld_->hopeless) return fail_unconfirmed();
    }
    acquit_if_over();
    if (std::exchange(release_when_quiet_, false)) go_idle();
}

/// No cancel request can have hit what it has not told of.
void Server::acquit_if_over() {
    if (cancels_ == 0 && !cancel_is_loose_ && is_quiet() && withheld_ == nullptr) is_suspect_ = false;
}

/// A ReadyForQuery of the client was judged, and is not withheld yet.
void Server::judge_suspicion() {
    must_confirm_ =
        is_suspect_ && (has_committed_ || (status_ == TransactionStatus::idle && !has_failed_)) && partner_ != nullptr;
    has_failed_ = false;
    if (must_confirm_) return;
    has_committed_ = false;
    acquit_if_over();
}

/// Whether this message of a request that a cancel request may have hit has to wait. Whole messages.
bool Server::withhold(char type, std::string_view message, std::string_view body) {
    if (partner_ == nullptr || (withheld_ == nullptr && (!is_suspect_ || in_doubt_))) return false;
    const bool commits_now = type == types::command_complete && commits(body.substr(0, body.find('\0')));
    has_committed_ |= commits_now;
    if (withheld_ == nullptr) {
        // In the extended protocol a command's end is waited for before a Sync is sent, and says little.
        const bool is_simple = !answers_.empty() && answers_.front().kind == Answer::Kind::query;
        const bool tells = type == types::command_complete ? is_simple || commits_now
                                                           : type == types::ready_for_query && must_confirm_;
        if (!tells) return false;
        withheld_ = std::make_unique<Withheld>();
    }
    withheld_->messages += message;
    if (type == types::ready_for_query)
        request_is_over();
    else if (type == types::copy_in_response || type == types::copy_both_response ||
             withheld_->messages.size() > withheld_max)
        give_unless_committed();  // the client has to answer now, or it is more than can be kept
    if (withheld_ && withheld_->stage == Withheld::Stage::collecting && !end_is_queued()) withheld_->hopeless = true;
    return true;
}

/// The client has sent what will be answered with ReadyForQuery: else it may wait for the answers that it has got so
/// far.
bool Server::end_is_queued() {
    for (std::size_t i = 0; i < answers_.size(); ++i)
        if (answers_[i].kind == Answer::Kind::query || answers_[i].kind == Answer::Kind::sync) return true;
    return false;
}

/// Its ReadyForQuery is withheld.
void Server::request_is_over() {
    ++withheld_->ready;
    if (!answers_.empty()) {
        has_committed_ |= status_ == TransactionStatus::idle;
    } else if (status_ != TransactionStatus::idle) {
        give_unless_committed();  // in a transaction no other commit can be asked for
    } else {
        ready_now_ = false;
        withheld_->stage = Withheld::Stage::waiting;
        if (cancels_ == 0) ask_for_confirmation();
    }
}

void Server::give_unless_committed() {
    if (has_committed_)
        withheld_->hopeless = true;
    else
        give_withheld();
}

void Server::ask_for_confirmation() {
    if (!is_quiet() || partner_->is_amid_message()) {  // the client asks for more
        withheld_->stage = Withheld::Stage::collecting;
        has_committed_ = true;
        withheld_->hopeless = !is_quiet() && !end_is_queued();
        return;
    }
    if (is_doubtful_ || cancel_is_loose_) {
        withheld_->hopeless = true;
        return;
    }
    withheld_->stage = Withheld::Stage::asking;
    is_suspect_ = own_failed_ = false;  // no cancel request can have hit what comes behind this
    // Under a name of its own: the client's unnamed statement stays.
    using namespace pgwire::frontend;
    std::string messages;
    pgwire::Writer writer(messages);
    write_close(writer, {Target::Kind::statement, its_name});
    write_parse(writer, its_name, {.name = {}, .query = another_commit, .types = {}});
    write_bind(writer, "", its_name);
    write_execute(writer, {.portal = "", .rows_max = 0});
    write_close(writer, {Target::Kind::statement, its_name});
    write_sync(writer);
    for (const Answer::Kind kind : {Answer::Kind::close, Answer::Kind::parse, Answer::Kind::bind, Answer::Kind::execute,
                                    Answer::Kind::close, Answer::Kind::sync})
        expect(kind, Answer::Way::swallow);
    wire_->put(messages);
}

/// The commit that was asked for has ended: the client gets what it is owed.
void Server::confirmation_is_over() {
    ready_own_ = false;
    if (own_failed_ || withheld_->cut_short) {
        log::warning("{} a commit was not confirmed by a synchronous standby after a cancel request", label());
        withheld_->hopeless = withheld_->ready > 1;
        if (withheld_->hopeless) return;
        auto [told, behind] = rest_of(withheld_->messages);
        pgwire::Writer writer(told);
        write_unconfirmed(writer, "A cancel request has come while it waited.");
        pgwire::backend::write_ready_for_query(writer, TransactionStatus::idle);
        told += behind;
        withheld_->messages = std::move(told);
    }
    give_withheld();
}

void Server::give_withheld() {
    made_ += withheld_->messages;
    withheld_.reset();
    has_committed_ = false;
    acquit_if_over();
}

void Server::fail_unconfirmed() {
    fail(unconfirmed(Severity::fatal, "a cancel request may have ended a commit's wait for a synchronous standby",
                     "Whether one has what was committed cannot be found out on this connection."));
}

}  // namespace pgkeel::pool
