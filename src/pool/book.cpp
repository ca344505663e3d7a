#include "pool/book.hpp"

#include <algorithm>

namespace pgkeel::pool {

DatabaseId Book::add_database(std::optional<std::size_t> servers_max) {
    databases_.push_back({.servers_max = servers_max, .servers = 0, .pools = {}});
    return static_cast<DatabaseId>(databases_.size() - 1);
}

UserId Book::add_user(std::optional<std::size_t> servers_max) {
    users_.push_back({.servers_max = servers_max, .servers = 0, .pools = {}});
    return static_cast<UserId>(users_.size() - 1);
}

PoolId Book::add_pool(DatabaseId database, UserId user, PoolLimits limits) {
    const auto id = static_cast<PoolId>(pools_.size());
    pools_.emplace_back();
    pools_.back().database = database;
    pools_.back().user = user;
    pools_.back().limits = limits;
    at(database).pools.push_back(id);
    at(user).pools.push_back(id);
    return id;
}

void Book::limit(DatabaseId database, std::optional<std::size_t> servers_max) {
    at(database).servers_max = servers_max;
}

void Book::limit(UserId user, std::optional<std::size_t> servers_max) {
    at(user).servers_max = servers_max;
}

void Book::limit(PoolId pool, PoolLimits limits) {
    at(pool).limits = limits;
}

std::optional<WaiterId> Book::want(PoolId id, ClientRef client, Instant now, Orders& orders) {
    Pool& pool = at(id);
    // Whoever waits came before, so an idle server is only for a client that finds the queue empty.
    if (pool.may_serve() && pool.waiting.empty()) {
        if (const auto idle = idle_for(pool, client.worker)) {
            wake(*idle, now);
            give(*idle, client, now, orders);
            return std::nullopt;
        }
    }
    const WaiterId waiter = waiters_.add({.pool = id, .client = client, .since = now, .links = {}});
    pool.waiting.add_last(waiters_, waiter);
    serve(id, now, orders);
    return waiter;
}

void Book::leave(WaiterId waiter, ClientRef client) {
    if (waiters_.has(waiter) && waiters_.at(waiter).client == client) leave(waiter);
}

void Book::leave(WaiterId waiter) {
    at(waiters_.at(waiter).pool).waiting.remove(waiters_, waiter);
    waiters_.remove(waiter);
}

std::vector<ClientRef> Book::dismiss_waiters(PoolId pool) {
    std::vector<ClientRef> dismissed;
    while (const auto first = at(pool).waiting.first()) {
        dismissed.push_back(waiters_.at(*first).client);
        leave(*first);
    }
    return dismissed;
}

void Book::opened(ServerId id, Instant now, Orders& orders) {
    Server& server = servers_.at(id);
    if (server.state == Server::State::closing) return;  // ordered meanwhile
    server.opened_at = now;
    --at(server.pool).logins;
    ++at(server.pool).active;
    server.state = Server::State::active;
    at(server.pool).retry_at = {};
    if (server.dedicated_to)
        give(id, *server.dedicated_to, now, orders);
    else
        released(id, now, orders);
}

Result<> Book::may_admit(PoolId id, std::int64_t epoch, bool has_client) const {
    const Pool& pool = at(id);
    if (epoch != pool.epoch || pool.older > 0)
        return fail(Errc::unavailable, "the server is of another epoch than its pool");
    const bool is_full = pool.servers() >= pool.limits.size || at(pool.database).full() || at(pool.user).full();
    if (!has_client && is_full) return fail(Errc::denied, "its pool has as many servers as it may have");
    return {};
}

Result<ServerId> Book::admit(PoolId id, WorkerId worker, std::int64_t epoch, bool has_client, Instant now,
                             Orders& orders) {
    if (auto may = may_admit(id, epoch, has_client); !may) return std::unexpected(std::move(may.error()));
    const ServerId admitted = servers_.add({.pool = id,
                                            .worker = worker,
                                            .state = Server::State::active,
                                            .opened_at = now,
                                            .since = now,
                                            .epoch = epoch,
                                            .close_when_released = {},
                                            .dedicated_to = {},
                                            .links = {}});
    Pool& pool = at(id);
    ++pool.active;
    ++at(pool.database).servers;
    ++at(pool.user).servers;
    if (!has_client) released(admitted, now, orders);
    return admitted;
}

void Book::refused(ServerId id, Instant retry_at, Instant now, Orders& orders) {
    at(servers_.at(id).pool).retry_at = retry_at;
    gone(id, now, orders);
}

void Book::released(ServerId id, Instant now, Orders& orders) {
    Server& server = servers_.at(id);
    if (server.state == Server::State::closing) return;
    const PoolId pool = server.pool;
    if (server.close_when_released) {
        close(id, *server.close_when_released, now, orders);
    } else {
        rest(id, now);
    }
    serve(pool, now, orders);
    // It may be what a pool of the same database or user has waited for: as an idle server that may be evicted.
    serve_pools_beside(pool, now, orders);
}

void Book::gone(ServerId id, Instant now, Orders& orders) {
    Server& server = servers_.at(id);
    const PoolId pool_id = server.pool;
    Pool& pool = at(pool_id);
    if (server.state == Server::State::idle) pool.idle[server.worker].remove(servers_, id);
    uncount(server);
    if (server.epoch < pool.epoch && pool.older > 0) --pool.older;
    servers_.remove(id);
    serve(pool_id, now, orders);
    serve_pools_beside(pool_id, now, orders);
}

std::optional<ServerId> Book::open_for(PoolId id, ClientRef client, Instant now, Orders& orders) {
    Pool& pool = at(id);
    if (!pool.may_serve()) return std::nullopt;
    if (pool.servers() >= pool.limits.size) {
        const auto victim = idle_for(pool, client.worker);
        if (!victim) return std::nullopt;
        close(*victim, CloseReason::evicted, now, orders);
    }
    if (!make_room(id, now, orders)) return std::nullopt;
    const ServerId opening = open(id, client.worker, now, orders);
    servers_.at(opening).dedicated_to = client;
    servers_.at(opening).close_when_released = CloseReason::dedicated;
    return opening;
}

bool Book::open_spare(PoolId id, WorkerId worker, Instant now, Orders& orders) {
    const Pool& pool = at(id);
    if (!pool.may_serve() || now < pool.retry_at || pool.logins >= pool.limits.logins ||
        pool.servers() >= pool.limits.size || at(pool.database).full() || at(pool.user).full())
        return false;
    open(id, worker, now, orders);
    return true;
}

bool Book::retire(ServerId id, CloseReason reason, Instant now, Orders& orders) {
    if (servers_.at(id).state != Server::State::idle) return false;
    const PoolId pool = servers_.at(id).pool;
    close(id, reason, now, orders);
    serve(pool, now, orders);
    serve_pools_beside(pool, now, orders);
    return true;
}

void Book::close_when_released(ServerId id, CloseReason reason) {
    servers_.at(id).close_when_released = reason;
}

void Book::moved(ServerId id, WorkerId to) {
    servers_.at(id).worker = to;
}

void Book::tick(Instant now, Orders& orders) {
    for (std::size_t i = 0; i < pools_.size(); ++i)
        if (!pools_[i].waiting.empty()) serve(static_cast<PoolId>(i), now, orders);
}

void Book::pause(PoolId pool) {
    at(pool).paused = true;
}

void Book::resume(PoolId pool, Instant now, Orders& orders) {
    at(pool).paused = false;
    serve(pool, now, orders);
}

void Book::hold(PoolId pool) {
    at(pool).held = true;
}

void Book::unhold(PoolId pool, Instant now, Orders& orders) {
    at(pool).held = false;
    at(pool).retry_at = {};
    serve(pool, now, orders);
}

void Book::renew(PoolId pool, CloseReason reason, Instant now, Orders& orders) {
    servers_.each([&](ServerId id, Server& server) {
        if (server.pool != pool) return;
        if (server.state == Server::State::idle)
            close(id, reason, now, orders);
        else
            server.close_when_released = reason;
    });
    serve(pool, now, orders);
}

void Book::begin_epoch(PoolId id, std::int64_t epoch, Instant now, Orders& orders) {
    Pool& pool = at(id);
    if (epoch <= pool.epoch) return;  // news that came late
    pool.epoch = epoch;
    pool.older = 0;
    servers_.each([&](ServerId server_id, Server& server) {
        if (server.pool != id) return;
        ++pool.older;
        if (server.state != Server::State::closing) close(server_id, CloseReason::older_epoch, now, orders);
    });
    serve(id, now, orders);
}

Book::Counts Book::counts(PoolId id) const {
    const Pool& pool = at(id);
    return {
        .idle = pool.idle_servers, .active = pool.active, .logging_in = pool.logins, .waiting = pool.waiting.size()};
}

std::size_t Book::servers(DatabaseId database) const {
    return databases_[static_cast<std::size_t>(database)].servers;
}

std::size_t Book::servers(UserId user) const {
    return users_[static_cast<std::size_t>(user)].servers;
}

const Book::Waiter* Book::first_waiter(PoolId pool) const {
    const auto first = at(pool).waiting.first();
    return first ? &waiters_.at(*first) : nullptr;
}

/// The worker's own if it has one, for then nothing has to be moved; else one of the worker with the most.
std::optional<ServerId> Book::idle_for(const Pool& pool, WorkerId worker) const {
    if (pool.idle_servers == 0) return std::nullopt;
    const auto* from = worker < pool.idle.size() && !pool.idle[worker].empty()
                           ? &pool.idle[worker]
                           : &*std::ranges::max_element(pool.idle, {}, [](const auto& chain) { return chain.size(); });
    return pool.limits.round_robin ? from->last() : from->first();
}

/// active → idle
void Book::rest(ServerId id, Instant now) {
    Server& server = servers_.at(id);
    Pool& pool = at(server.pool);
    if (pool.idle.size() <= server.worker) pool.idle.resize(server.worker + std::size_t{1});
    pool.idle[server.worker].add_first(servers_, id);
    ++pool.idle_servers;
    --pool.active;
    server.state = Server::State::idle;
    server.since = now;
}

/// idle → active
void Book::wake(ServerId id, Instant now) {
    Server& server = servers_.at(id);
    Pool& pool = at(server.pool);
    pool.idle[server.worker].remove(servers_, id);
    --pool.idle_servers;
    ++pool.active;
    server.state = Server::State::active;
    server.since = now;
}

void Book::give(ServerId id, ClientRef client, Instant now, Orders& orders) {
    Server& server = servers_.at(id);
    server.since = now;
    const bool here = server.worker == client.worker;
    orders.push_back({.kind = here ? Order::Kind::link : Order::Kind::move,
                      .worker = server.worker,
                      .server = id,
                      .client = client,
                      .pool = server.pool,
                      .reason = {}});
}

/// Any state → closing: it does not count any more, and nobody gets it.
void Book::close(ServerId id, CloseReason reason, Instant now, Orders& orders) {
    Server& server = servers_.at(id);
    if (server.state == Server::State::idle) at(server.pool).idle[server.worker].remove(servers_, id);
    uncount(server);
    server.state = Server::State::closing;
    server.since = now;
    orders.push_back({.kind = Order::Kind::close,
                      .worker = server.worker,
                      .server = id,
                      .client = {},
                      .pool = server.pool,
                      .reason = reason});
}

void Book::uncount(const Server& server) {
    Pool& pool = at(server.pool);
    switch (server.state) {
        case Server::State::closing:
            return;
        case Server::State::login:
            --pool.logins;
            break;
        case Server::State::idle:
            --pool.idle_servers;
            break;
        case Server::State::active:
            --pool.active;
            break;
    }
    --at(pool.database).servers;
    --at(pool.user).servers;
}

/// The queue: idle servers first, then new ones as far as the limits go.
void Book::serve(PoolId id, Instant now, Orders& orders) {
    Pool& pool = at(id);
    while (pool.may_serve() && !pool.waiting.empty()) {
        const WaiterId first = *pool.waiting.first();
        const auto idle = idle_for(pool, waiters_.at(first).client.worker);
        if (!idle) break;
        const ClientRef client = waiters_.at(first).client;
        leave(first);
        wake(*idle, now);
        give(*idle, client, now, orders);
    }
    while (wants_another(pool, now) && make_room(id, now, orders)) {
        open(id, waiters_.at(*pool.waiting.first()).client.worker, now, orders);
    }
}

ServerId Book::open(PoolId id, WorkerId worker, Instant now, Orders& orders) {
    Pool& pool = at(id);
    const bool from_reserve = pool.servers() >= pool.limits.size;
    const ServerId opening = servers_.add({.pool = id,
                                           .worker = worker,
                                           .state = Server::State::login,
                                           .opened_at = now,
                                           .since = now,
                                           .epoch = pool.epoch,
                                           .close_when_released = {},
                                           .dedicated_to = {},
                                           .links = {}});
    ++pool.logins;
    ++at(pool.database).servers;
    ++at(pool.user).servers;
    orders.push_back({.kind = Order::Kind::open,
                      .worker = worker,
                      .server = opening,
                      .client = {},
                      .pool = id,
                      .reason = {},
                      .from_reserve = from_reserve});
    return opening;
}

void Book::serve_pools_beside(PoolId id, Instant now, Orders& orders) {
    const Pool& pool = at(id);
    for (const Limited* group : {&at(pool.database), &at(pool.user)}) {
        if (!group->servers_max) continue;
        for (const PoolId other : group->pools)
            if (other != id && !at(other).waiting.empty()) serve(other, now, orders);
    }
}

/// Somebody waits for whom no login is under way yet, and the pool may have one more.
bool Book::wants_another(const Pool& pool, Instant now) const {
    if (!pool.may_serve() || pool.waiting.size() <= pool.logins || pool.logins >= pool.limits.logins) return false;
    if (now < pool.retry_at) return false;
    if (pool.servers() < pool.limits.size) return true;
    return pool.servers() < pool.limits.size + pool.limits.reserve &&
           now - waiters_.at(*pool.waiting.first()).since >= pool.limits.reserve_after;
}

/// Room under the limits of the pool's database and user, if need be by closing what is idle beside it.
bool Book::make_room(PoolId id, Instant now, Orders& orders) {
    const Pool& pool = at(id);
    for (const Limited* group : {&at(pool.database), &at(pool.user)}) {
        if (!group->full()) continue;
        const auto victim = longest_idle(*group, id);
        if (!victim) return false;
        close(*victim, CloseReason::evicted, now, orders);
    }
    return true;
}

std::optional<ServerId> Book::longest_idle(const Limited& among, PoolId except) const {
    std::optional<ServerId> found;
    for (const PoolId id : among.pools) {
        if (id == except) continue;
        for (const auto& chain : at(id).idle)
            if (const auto last = chain.last(); last && (!found || server(*last).since < server(*found).since))
                found = last;
    }
    return found;
}

}  // namespace pgkeel::pool
