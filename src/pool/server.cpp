#include "pool/server.hpp"

#include "log/log.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pool/server_login.hpp"
#include "pool/withheld.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <utility>

// A server that has logged in: for whom it works, and how it ends.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::backend::TransactionStatus;

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
    withheld_.reset();
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
    last_words_ = is_suspect_ = has_failed_ = has_committed_ = false;
    partner.linked(*this);
}

void Server::release() {
    if (state_ == State::gone) return;
    partner_ = nullptr;
    withheld_.reset();
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
    if (cancel_is_loose_) return end("a cancel request that nobody has answered may still come");
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

void Server::now_on(Worker& worker, OwnedWire wire) {
    worker_ = &worker;
    wire_ = std::move(wire);
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
                        last_words_ && withheld_ == nullptr);
        case State::gone:
            return;
        default:
            return end("server conn crashed?");
    }
}

}  // namespace pgkeel::pool
