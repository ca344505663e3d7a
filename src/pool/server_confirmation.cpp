#include "pool/server.hpp"

#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
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

/// A commit that waits as the client's has to. A row, and nothing is written, where none waits: on a standby, and for a
/// client that does not want it. With the warning that tells when this one's wait is cut short.
constexpr std::string_view another_commit =
    "SELECT pg_catalog.set_config('client_min_messages', 'warning', true), CASE WHEN pg_catalog.pg_is_in_recovery() "
    "OR pg_catalog.current_setting('synchronous_standby_names') OPERATOR(pg_catalog.=) '' "
    "OR pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) ANY (ARRAY['off', 'local']) "
    "THEN NULL ELSE pg_catalog.pg_logical_emit_message(true, 'pgkeel', '') END";

/// Of class 08 and not 40: who repeats transactions by that would do this one twice.
Report unconfirmed(Severity severity, std::string detail) {
    return {.severity = severity,
            .sqlstate = "08007",
            .message = "the transaction is committed on the primary, and no synchronous standby has confirmed it",
            .detail = std::move(detail),
            .hint = "It is lost if the primary is lost now. Look whether it is there before you repeat it."};
}

/// What ends a transaction at once, also in the middle of an extended pipeline or of a query of several statements.
bool commits(std::string_view tag) {
    return tag == "COMMIT" || tag.ends_with(" PREPARED") || tag == "PREPARE TRANSACTION";
}

}  // namespace

/// The warning; natively its client gets an error instead.
bool Server::is_unconfirmed_commit(std::string_view body) {
    const bool asks = withheld_ != nullptr && withheld_->stage == Withheld::Stage::asking;
    if (partner_ == nullptr || in_doubt_ || worker_->config().settings.pgbouncer_compat) return false;
    const auto fields = pgwire::backend::read_error_fields(body);
    if (!fields || fields->severity != "WARNING" || fields->routine != "SyncRepWaitForLSN") return false;
    log::warning("{} a commit was not confirmed by a synchronous standby: {}", label(), fields->message);
    if (asks) {
        withheld_->cut_short = true;
        return true;
    }
    if (withheld_ != nullptr && withheld_->ready > 0) {
        withheld_->hopeless = true;
        return true;
    }
    withheld_.reset();  // an error stands for the rest of the request
    pgwire::Writer writer(made_);
    pgwire::backend::write_error_response(
        writer, unconfirmed(Severity::error, fmt::format("The server said: {}.", fields->message)));
    in_doubt_ = has_failed_ = true;
    return true;
}

bool Server::works_for_itself() const {
    const bool asks = withheld_ != nullptr && withheld_->stage == Withheld::Stage::asking;
    return !asks && !answers_.empty() && answers_.front().way == Answer::Way::swallow &&
           answers_.front().kind == Answer::Kind::query;
}

void Server::cancel_begins() {
    ++cancels_;
    if (partner_ != nullptr && opening_.is_ordinary() && !worker_->config().settings.pgbouncer_compat)
        is_suspect_ = true;
}

void Server::cancel_ends() {
    --cancels_;
    if (cancels_ > 0 || state_ == State::gone) return;
    if (withheld_ != nullptr && withheld_->stage == Withheld::Stage::waiting)
        ask_for_confirmation();
    else if (is_quiet())
        is_suspect_ = false;
    if (std::exchange(release_when_quiet_, false)) go_idle();
}

/// Whether this message of a request that a cancel request may have hit has to wait. Whole messages.
bool Server::withhold(char type, std::string_view message, std::string_view body) {
    if (partner_ == nullptr) return false;
    if (withheld_ == nullptr) {
        if (!is_suspect_ || in_doubt_) return false;
        if (type == types::command_complete) {
            has_committed_ |= commits(body.substr(0, body.find('\0')));
            // In the extended protocol it may be waited for before a Sync is sent, and says little.
            if (answers_.empty() || answers_.front().kind != Answer::Kind::query) return false;
        } else if (type != types::ready_for_query || !must_confirm_) {
            return false;
        }
        withheld_ = std::make_unique<Withheld>();
    } else if (type == types::command_complete) {
        has_committed_ |= commits(body.substr(0, body.find('\0')));
    }
    withheld_->messages += message;
    if (withheld_->messages.size() > withheld_max) withheld_->hopeless = true;
    if (type == types::ready_for_query)
        request_is_over();
    else if (type == types::copy_in_response || type == types::copy_both_response)
        give_unless_committed();  // the client has to answer now
    return true;
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
    if (!is_quiet()) {  // the client has asked for more
        withheld_->stage = Withheld::Stage::collecting;
        has_committed_ = true;
        return;
    }
    withheld_->stage = Withheld::Stage::asking;
    run_own(another_commit);
}

/// The commit that was asked for has ended: the client gets what it is owed.
void Server::confirmation_is_over() {
    ready_own_ = false;
    settings_error_.reset();
    if (!own_failed_ && !withheld_->cut_short) return give_withheld();
    log::warning("{} a commit was not confirmed by a synchronous standby after a cancel request", label());
    withheld_->hopeless = withheld_->ready > 1;
    if (withheld_->hopeless) return;
    withheld_->messages.clear();
    pgwire::Writer writer(withheld_->messages);
    pgwire::backend::write_error_response(writer,
                                          unconfirmed(Severity::error, "A cancel request has come while it waited."));
    pgwire::backend::write_ready_for_query(writer, TransactionStatus::idle);
    give_withheld();
}

void Server::give_withheld() {
    made_ += withheld_->messages;
    withheld_.reset();
    has_committed_ = false;
    if (cancels_ == 0) is_suspect_ = false;
}

void Server::fail_unconfirmed() {
    fail(unconfirmed(Severity::fatal, "A cancel request has come while it waited, or after."));
}

}  // namespace pgkeel::pool
