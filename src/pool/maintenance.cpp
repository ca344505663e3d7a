#include "log/log.hpp"
#include "pool/client_login.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <algorithm>

// What time does to sessions. It is looked at some times a second.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pgwire::backend::TransactionStatus;

namespace {

constexpr Duration cleaning_max = std::chrono::seconds(10);

Report timed_out(std::string sqlstate, std::string message, std::string detail = {}) {
    return {.severity = Severity::fatal,
            .sqlstate = std::move(sqlstate),
            .message = std::move(message),
            .detail = std::move(detail),
            .hint = {}};
}

bool is_over(Duration limit, Duration age) {
    return limit > Duration::zero() && age > limit;
}

}  // namespace

void Worker::maintain() {
    // They may end, and others come, meanwhile.
    for (std::size_t i = 0; i < clients_.size(); ++i)
        if (clients_[i].session) maintain_client(*clients_[i].session);
    std::vector<Server*> all;
    all.reserve(servers_.size());
    for (const auto& [id, server] : servers_) all.push_back(server.get());
    for (Server* const server : all) maintain_server(*server);
    for (const auto& call : cancels_)
        if (!call->is_over() && is_over(config_->settings.cancel_wait_timeout, now() - call->began())) call->give_up();
    Orders orders;
    {
        const std::scoped_lock lock(hub_.mutex);
        if (id_ == 0) maintain_pools(orders);
        each_client([&](Client& client) { client.try_again(orders); });
    }
    carry_out(orders);
    serve_waiters();
}

void Worker::serve_waiters() {
    Orders orders;
    {
        const std::scoped_lock lock(hub_.mutex);
        hub_.book.tick(now(), orders);
    }
    carry_out(orders);
}

void Worker::maintain_client(Client& client) {
    const config::PoolerSettings& settings = config_->settings;
    const Duration age = now() - client.since();
    const auto of_user = [&](const auto& own, Duration general) { return own.value_or(general); };
    switch (client.state()) {
        case Client::State::opening:
        case Client::State::authenticating:
            if (is_over(settings.client_login_timeout, now() - client.began()))
                client.end(timed_out("08006", "client_login_timeout"));
            return;
        case Client::State::welcoming:
        case Client::State::waiting: {
            const auto& user = client.user()->entry;
            if (is_over(user.query_timeout.value_or(settings.query_timeout), age))
                return client.end(timed_out("57014", "query_timeout", describe(client)));
            const Duration limit = user.query_wait_timeout.value_or(
                client.database()->entry.query_wait_timeout.value_or(settings.query_wait_timeout));
            if (is_over(limit, age)) return client.end(timed_out("53300", "query_wait_timeout", describe(client)));
            if (is_over(settings.query_wait_notify, age) && !client.was_told_to_wait() &&
                client.state() == Client::State::waiting) {
                client.told_to_wait();
                client.notice("No server connection available in postgres backend, client being queued");
            }
            return;
        }
        case Client::State::idle:
            if (client.is_console()) return;
            if (is_over(of_user(client.user()->entry.client_idle_timeout, settings.client_idle_timeout), age))
                client.end(timed_out("57P05", "client_idle_timeout"));
            return;
        case Client::State::active: {
            if (client.is_replication()) return;
            const auto& user = client.user()->entry;
            const bool in_transaction = client.in_transaction();
            if (client.in_query() &&
                is_over(of_user(user.query_timeout, settings.query_timeout), now() - client.query_since()))
                return client.end(timed_out("57014", "query timeout"));
            if (in_transaction && is_over(of_user(user.transaction_timeout, settings.transaction_timeout),
                                          now() - client.transaction_since()))
                return client.end(timed_out("25P04", "transaction timeout"));
            if (client.in_query()) return;
            if (in_transaction) {
                if (is_over(of_user(user.idle_transaction_timeout, settings.idle_transaction_timeout), age))
                    client.end(timed_out("25P03", "idle transaction timeout"));
            } else if (is_over(of_user(user.client_idle_timeout, settings.client_idle_timeout), age)) {
                client.end(timed_out("57P05", "client_idle_timeout"));
            }
            return;
        }
        case Client::State::setting:
        case Client::State::cancelling:
            if (is_over(settings.query_wait_timeout, now() - client.since())) client.leave("cancel_wait_timeout");
            return;
        case Client::State::gone:
            return;
    }
}

/// The state of the pool, for a client that has waited in vain.
std::string Worker::describe(const Client& client) {
    const std::scoped_lock lock(hub_.mutex);
    if (client.pool() == nullptr) return {};
    const Book::Counts counts = hub_.book.counts(client.pool()->id);
    return fmt::format("pool {}/{}: {} active, {} idle, {} logging in, {} clients waiting", client.database()->name,
                       client.pool()->user->name, counts.active, counts.idle, counts.logging_in, counts.waiting);
}

void Worker::maintain_server(Server& server) {
    const config::PoolerSettings& settings = config_->settings;
    const Instant time = now();
    switch (server.state()) {
        case Server::State::connecting:
        case Server::State::logging_in:
            if (is_over(settings.server_connect_timeout, time - server.began())) server.login_timed_out();
            return;
        case Server::State::setting_up:
        case Server::State::cleaning:
        case Server::State::testing:
            if (time - server.since() > std::max(cleaning_max, settings.server_connect_timeout))
                server.fail(timed_out("08006", "test query timeout"));
            return;
        case Server::State::linked:
        case Server::State::idle: {
            const auto& entry = server.pool().database->entry;
            const Duration lifetime = entry.server_lifetime.value_or(settings.server_lifetime);
            const bool old = time - server.began() >= lifetime;
            const bool unused =
                server.state() == Server::State::idle && is_over(settings.server_idle_timeout, time - server.since());
            if (!old && !unused) return;
            Orders orders;
            {
                const std::scoped_lock lock(hub_.mutex);
                retire(server, old, orders);
            }
            return carry_out(orders);
        }
        case Server::State::gone:
            return;
    }
}

/// Under the mutex. Not all that were opened together are closed together, and what has to be there stays.
void Worker::retire(Server& server, bool old, Orders& orders) {
    PoolRecord& pool = server.pool();
    const auto& settings = config_->settings;
    const Book::Counts counts = hub_.book.counts(pool.id);
    if (old) {
        const Duration lifetime = pool.database->entry.server_lifetime.value_or(settings.server_lifetime);
        const auto size = static_cast<std::int64_t>(std::max<std::size_t>(1, counts.idle + counts.active));
        if (lifetime > Duration::zero() && now() - pool.last_expiry < lifetime / size && pool.last_expiry != Instant{})
            return;
        if (server.state() == Server::State::linked) {
            if (hub_.book.server(server.id()).close_when_released) return;
            hub_.book.close_when_released(server.id(), CloseReason::lifetime);
            pool.last_expiry = now();
        } else if (hub_.book.retire(server.id(), CloseReason::lifetime, now(), orders)) {
            pool.last_expiry = now();
        }
        return;
    }
    const auto least = static_cast<std::size_t>(pool.database->entry.min_pool_size.value_or(settings.min_pool_size));
    const bool needed =
        counts.idle + counts.active <= least && (pool.clients > 0 || !pool.database->entry.user.empty());
    if (!needed) hub_.book.retire(server.id(), CloseReason::idle_timeout, now(), orders);
}

/// Under the mutex, of one worker: spare servers, and databases that nobody uses.
void Worker::maintain_pools(Orders& orders) {
    const auto& settings = config_->settings;
    if (hub_.phase != Phase::running) return;
    // A forced user needs no client to be known.
    for (const auto& [name, entry] : config_->databases) {
        if (name == "*" || entry.user.empty() || entry.min_pool_size.value_or(settings.min_pool_size) <= 0) continue;
        bool registered = false;
        DatabaseRecord* const database = hub_.find_database(name, now(), registered);
        hub_.pool(*database, hub_.user(entry.user), hub_.route_of(*database, config::Route::configured));
    }
    for (const auto& [key, pool] : hub_.pools) {
        DatabaseRecord& database = *pool->database;
        if (database.removed || database.disabled) continue;
        const auto least = static_cast<std::size_t>(database.entry.min_pool_size.value_or(settings.min_pool_size));
        const bool in_use = !pool->is_forgotten && (pool->clients > 0 || !database.entry.user.empty());
        const Book::Counts counts = hub_.book.counts(pool->id);
        const bool is_empty = pool->clients + counts.idle + counts.active + counts.logging_in + counts.waiting == 0;
        if (is_empty && !pool->is_forgotten && is_over(settings.pool_idle_timeout, now() - pool->last_used)) {
            log::info("P-{}: {}/{} cleaning up idle pool", fmt::ptr(pool.get()), database.name, pool->user->name);
            pool->is_forgotten = true;
        }
        if (least > 0 && in_use && !leaving_ && counts.idle + counts.active + counts.logging_in < least)
            hub_.book.open_spare(pool->id, id_, now(), orders);
    }
}

}  // namespace pgkeel::pool
