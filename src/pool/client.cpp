#include "pool/client.hpp"

#include "log/log.hpp"
#include "pool/auth_query.hpp"
#include "pool/client_login.hpp"
#include "pool/server.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <utility>

// A client's life: how it gets a server, gives it back, and ends.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::backend::TransactionStatus;

const Report shutting_down{
    .severity = Severity::fatal, .sqlstate = "57P01", .message = "server shutting down", .detail = {}, .hint = {}};

Client::Client(Worker& worker, ClientRef ref, const config::Listener& listener)
    : worker_(worker),
      ref_(ref),
      listener_(&listener),
      login_(std::make_unique<Login>()),
      number_(++worker.hub().numbers),
      connected_at_(worker.around().wall_now()),
      began_(worker.now()),
      since_(began_) {}

Client::~Client() = default;

pgwire::ReplicationMode Client::replication() const {
    return opening_ ? opening_->replication : pgwire::ReplicationMode::none;
}

std::string Client::label() const {
    const std::string database = login_ ? login_->startup.database : database_ != nullptr ? database_->name : "";
    const std::string user = login_ ? login_->startup.user : user_ != nullptr ? user_->name : "";
    std::string place = "?";
    if (wire_) {
        const WireFacts& facts = wire_->facts();
        place = facts.unix_socket ? fmt::format("unix({}):{}", facts.peer_pid, facts.local_port)
                                  : fmt::format("{}:{}", facts.address, facts.port);
    }
    return fmt::format("C-{}: {}/{}@{}", fmt::ptr(this), database.empty() ? "(nodb)" : database,
                       user.empty() ? "(nouser)" : user, place);
}

void Client::end(const Report& why) {
    if (state_ == State::gone) return;
    if (wire_ && state_ != State::cancelling) {
        std::string message;
        pgwire::Writer writer(message);
        pgwire::backend::write_error_response(writer, why);
        wire_->put(message);
    }
    if (worker_.config().settings.log_pooler_errors) log::warning("{} pooler error: {}", label(), why.message);
    leave(why.message);
}

void Client::leave(const std::string& why) {
    if (state_ == State::gone) return;
    const config::PoolerSettings& settings = worker_.config().settings;
    if (settings.log_disconnections && !why.empty())
        log::info("{} closing because: {} (age={}s)", label(), why,
                  std::chrono::duration_cast<std::chrono::seconds>(worker_.now() - began_).count());
    state_ = State::gone;
    leave_hub();
    wire_.reset();
    worker_.bury(*this);
    if (server_ != nullptr) {
        Server& server = *std::exchange(server_, nullptr);
        // What the next client sends would be the rest of it.
        if (!scanner_.at_border()) return server.end("client left in the middle of a message");
        if (mode_ == config::PoolMode::session || settings.server_reset_query_always) server.needs_reset();
        server.release();
    }
}

void Client::leave_hub() {
    Hub& hub = worker_.hub();
    const std::scoped_lock lock(hub.mutex);
    if (waiter_) hub.book.leave(*waiter_, ref_);
    waiter_.reset();
    if (cancel_key_ != 0) hub.cancel_keys.erase(cancel_key_);
    if (counted_) --hub.clients;
    if (console_ && user_ != nullptr) {
        --hub.console_clients;
        --user_->clients;
    }
    if (has_entered_) {
        --database_->clients;
        --user_->clients;
        --pool_->clients;
        database_->last_used = pool_->last_used = worker_.now();
    }
}

void Client::notice(const std::string& text) {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::backend::write_notice_response(
        writer, {.severity = Severity::notice, .sqlstate = "00000", .message = text, .detail = {}, .hint = {}});
    wire_->put(message);
}

std::size_t Client::received(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::gone) {
        const std::string_view rest = bytes.substr(used);
        std::size_t taken = 0;
        switch (state_) {
            case State::opening:
                taken = read_opening(rest);
                break;
            case State::authenticating:
                taken = read_authentication(rest);
                break;
            case State::idle:
            case State::active:
                taken = console_ ? read_console(rest) : read_requests(rest);
                break;
            case State::cancelling:
                taken = rest.size();
                break;
            default:
                break;
        }
        if (taken == 0) break;
        used += taken;
    }
    if (state_ == State::gone) return bytes.size();
    if (state_ == State::welcoming || state_ == State::waiting || state_ == State::setting) wire_->stop_reading();
    return used;
}

void Client::closed(const std::string& why) {
    if (state_ == State::opening && why.empty() && login_ && login_->startup.user.empty()) return leave("");
    leave(why.empty() ? "client unexpected eof" : why);
}

void Client::drained() {
    if (server_ != nullptr) server_->resume();
}

void Client::server_drained() {
    read_on();
}

/// If it was held back.
void Client::read_on() {
    if (std::exchange(is_held_back_, false)) wire_->start_reading();
}

// ---- its server

/// Wants one. True: it is there.
bool Client::take_server() {
    Hub& hub = worker_.hub();
    Orders orders;
    std::optional<Report> refusal;
    since_ = worker_.now();
    {
        const std::scoped_lock lock(hub.mutex);
        refusal = worker_.refusal(*pool_);
        if (!refusal) wait_for(*pool_, orders);
    }
    if (refusal) {
        end(*refusal);
        return false;
    }
    if (state_ == State::idle) state_ = State::waiting;
    told_to_wait_ = false;
    worker_.carry_out(orders);
    return state_ == State::active;
}

/// A replication client, or somebody who may have any server.
void Client::wait_for(PoolRecord& pool, Orders& orders) {
    Book& book = worker_.hub().book;
    if (opening_ && &pool == pool_) {
        waits_for_dedicated_ = !book.open_for(pool.id, ref_, worker_.now(), orders);
        wants_ = true;
        return;
    }
    wants_ = true;
    waiter_ = book.want(pool.id, ref_, worker_.now(), orders);
}

/// Room may have come for a replication client.
void Client::try_again(Orders& orders) {
    if (waits_for_dedicated_) wait_for(*pool_, orders);
}

void Client::want_again() {
    forget_waiter();
    if (state_ == State::authenticating && login_ && login_->question)
        login_->question->ask();
    else if ((state_ == State::waiting || state_ == State::welcoming) && take_server())
        wire_->start_reading();
}

Server::Opening Client::server_opening() const {
    return {opening_->replication, opening_->parameters, opening_->options};
}

Partner& Client::partner() {
    if (login_ && login_->question && state_ == State::authenticating) return *login_->question;
    return *this;
}

void Client::linked(Server& server) {
    forget_waiter();
    server_ = &server;
    const Duration waited = worker_.now() - since_;
    if (state_ == State::welcoming) {
        // It was only wanted for what it has told at its login.
        if (!opening_) forget_server();
        return welcome();
    }
    stats_->wait_time += static_cast<std::uint64_t>(waited.count());
    stats_->latencies->waits.add(static_cast<std::uint64_t>(waited.count()));
    ++stats_->assignments;
    state_ = State::active;
    if (mode_ == config::PoolMode::session) server.needs_reset();
    if (put_settings() && !worker_.is_proven(*pool_, settings_)) state_ = State::setting;
    if (state_ == State::active) wire_->start_reading();
}

bool Client::put_settings() {
    return !opening_ && server_->put_settings(settings_);
}

void Client::settings_applied(const Report* error) {
    if (error != nullptr) {
        Report why = *error;
        why.severity = Severity::fatal;
        return end(why);
    }
    settings_ = worker_.shared_settings().share(settings_);
    worker_.prove(*pool_, settings_);
    if (state_ != State::setting) return;
    state_ = State::active;
    wire_->start_reading();
}

/// PostgreSQL does not know it; clients of PgBouncer may count on it.
void Client::statement_lost(std::string_view name) {
    if (worker_.config().settings.pgbouncer_compat)
        statements_.doubt(name);
    else
        statements_.remove(name);
}

void Client::setting_reported(std::string_view name, std::string_view value) {
    settings_ = worker_.shared_settings().share(settings_.with(name, value));
}

void Client::deliver(std::string_view bytes) {
    stats_->sent += bytes.size();
    wire_->pass(bytes);
}

void Client::caught_up() {
    if (!server_->wire().backed_up()) read_on();
}

/// Everything is answered: the end of a query, and perhaps of a transaction.
void Client::answered() {
    caught_up();
    const Instant now = worker_.now();
    servers_lost_ = 0;
    if (query_since_ != Instant{}) {
        ++stats_->queries;
        stats_->query_time += static_cast<std::uint64_t>((now - query_since_).count());
        stats_->latencies->queries.add(static_cast<std::uint64_t>((now - query_since_).count()));
        query_since_ = {};
    }
    since_ = now;
    const TransactionStatus status = server_->status();
    if (mode_ == config::PoolMode::statement && status != TransactionStatus::idle)
        return end({.severity = Severity::fatal,
                    .sqlstate = "0A000",
                    .message = "transaction blocks not allowed in statement pooling mode",
                    .detail = {},
                    .hint = "use pool_mode transaction"});
    if (status != TransactionStatus::idle) return;
    if (transaction_since_ != Instant{}) {
        ++stats_->transactions;
        stats_->transaction_time += static_cast<std::uint64_t>((now - transaction_since_).count());
        stats_->latencies->transactions.add(static_cast<std::uint64_t>((now - transaction_since_).count()));
        transaction_since_ = {};
    }
    // In the middle of a message it is not over yet, whatever the server has said.
    if (keeps_server() || !scanner_.at_border()) return rest();
    give_back();
}

void Client::give_back() {
    state_ = State::idle;
    forget_portals();
    if (worker_.config().settings.server_reset_query_always) server_->needs_reset();
    forget_server();
    read_on();
    rest();
}

/// Nothing is asked for now. In this turn another process may get it.
void Client::rest() {
    if (worker_.is_leaving()) worker_.offer_later(ref_);
}

void Client::forget_server() {
    std::exchange(server_, nullptr)->release();
}

void Client::server_gone(const Report& why, bool told) {
    server_ = nullptr;
    // It knows nothing of the server as long as nothing of it was sent there.
    constexpr std::uint8_t most = 3;
    const bool has_asked = mode_ == config::PoolMode::session || opening_ || !pins().none() || in_query() ||
                           in_transaction() || !scanner_.at_border();
    const bool untouched = state_ == State::setting || (state_ == State::active && !has_asked);
    if (untouched && !told && servers_lost_ < most) {
        ++servers_lost_;
        state_ = State::waiting;
        return want_again();
    }
    if (told) return leave(why.message);
    end(why);
}

}  // namespace pgkeel::pool
