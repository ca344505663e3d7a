#pragma once
#include "base/clock.hpp"
#include "base/result.hpp"
#include "pool/slab.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

// Which servers there are, which are idle, who waits for one, and every limit on them: one book for all threads
// (docs/decisions/0004-proxy.md). It is only a ledger: it opens and closes nothing, it orders it. Whoever calls it
// holds its mutex, and carries the orders out afterwards.

namespace pgkeel::pool {

using WorkerId = std::uint16_t;

/// A client as its worker knows it.
struct ClientRef {
    WorkerId worker = 0;
    std::uint32_t id = 0;
    auto operator<=>(const ClientRef&) const = default;
};

/// Names below are valid until what they stand for is gone; then they may be used again.
enum class DatabaseId : std::uint32_t {};
enum class UserId : std::uint32_t {};
enum class PoolId : std::uint32_t {};
enum class ServerId : std::uint32_t {};
enum class WaiterId : std::uint32_t {};

/// Of a pool. Counts of connections; what is 0 in a configuration and means "no limit" is left out here.
struct PoolLimits {
    std::size_t size = 20;
    std::size_t reserve = 0;  ///< more, once the first in the queue has waited `reserve_after`
    Duration reserve_after = std::chrono::seconds(5);
    std::size_t logins = 1;    ///< at the same time; the others of the queue wait for one of them
    bool round_robin = false;  ///< take the server that has rested longest, not the one that has just been used
};

enum class CloseReason {
    evicted,  ///< it was idle, and another pool needs its place
    asked,    ///< RECONNECT
    changed,  ///< the configuration says something else now
    lifetime,
    idle_timeout,
    dedicated,    ///< it was one client's alone
    older_epoch,  ///< its primary has been deposed
};

/// What a worker has to do now. Orders for other workers are passed on to them.
struct Order {
    enum class Kind {
        link,   ///< `server` is on the client's worker: they belong together now
        move,   ///< to the worker of `server`: hand its socket over to the client's worker, which then links them
        open,   ///< to `worker`: connect and log in, then opened() or gone()
        close,  ///< to the worker of `server`: close it, then gone(). It counts no more
    };
    Kind kind = Kind::link;
    WorkerId worker = 0;  ///< whose job it is
    ServerId server{};
    ClientRef client;  ///< of link and move
    PoolId pool{};
    CloseReason reason = CloseReason::asked;
    bool from_reserve = false;  ///< of open
    bool operator==(const Order&) const = default;
};
using Orders = std::vector<Order>;

class Book {
  public:
    /// `servers_max`: over all pools of the database or user; nothing: no limit.
    DatabaseId add_database(std::optional<std::size_t> servers_max);
    UserId add_user(std::optional<std::size_t> servers_max);
    PoolId add_pool(DatabaseId database, UserId user, PoolLimits limits);
    void limit(DatabaseId database, std::optional<std::size_t> servers_max);
    void limit(UserId user, std::optional<std::size_t> servers_max);
    void limit(PoolId pool, PoolLimits limits);

    /// A client wants a server. Orders link or move one at once (then nothing is returned), or the client waits: for a
    /// server that becomes free, or one that is ordered to be opened.
    std::optional<WaiterId> want(PoolId pool, ClientRef client, Instant now, Orders& orders);
    /// It wants none any more. Nothing happens when it waits no more: what the book has given it may still be on its
    /// way.
    void leave(WaiterId waiter, ClientRef client);
    /// Nobody waits for this pool any more. Returns who did.
    std::vector<ClientRef> dismiss_waiters(PoolId pool);

    /// The login has succeeded.
    void opened(ServerId server, Instant now, Orders& orders);
    /// Login failed: no other is opened for this pool before `retry_at`.
    void refused(ServerId server, Instant retry_at, Instant now, Orders& orders);
    /// A connection that another process has made and hands over. With a client it is active, else idle. Errors: denied
    /// — it would be one too many; unavailable — it is of another epoch than the pool's, which may be known later.
    Result<ServerId> admit(PoolId pool, WorkerId worker, std::int64_t epoch, bool has_client, Instant now,
                           Orders& orders);
    /// Whether admit() would take it.
    Result<> may_admit(PoolId pool, std::int64_t epoch, bool has_client) const;
    /// Its client needs it no more, and it is clean.
    void released(ServerId server, Instant now, Orders& orders);
    /// Closed without an order: by the server, by an error, after a login that failed.
    void gone(ServerId server, Instant now, Orders& orders);
    /// A server for this client alone, closed when it is released (replication): ordered to be opened, if need be in
    /// the place of an idle one. Nothing: the limits do not allow it now.
    std::optional<ServerId> open_for(PoolId pool, ClientRef client, Instant now, Orders& orders);
    /// One more that will be idle, within the limits and without closing another (min_pool_size). Whether it was
    /// ordered.
    bool open_spare(PoolId pool, WorkerId worker, Instant now, Orders& orders);
    /// Closes it if it is idle. Whether it was.
    bool retire(ServerId server, CloseReason reason, Instant now, Orders& orders);
    /// It must not serve anybody else.
    void close_when_released(ServerId server, CloseReason reason);
    /// After a `move`: it is on its client's worker now.
    void moved(ServerId server, WorkerId to);

    /// Time has passed: the reserve may be used.
    void tick(Instant now, Orders& orders);

    /// No client gets a server until resume(). Those that have one keep it.
    void pause(PoolId pool);
    void resume(PoolId pool, Instant now, Orders& orders);
    /// The same for another reason: there is no server to connect to.
    void hold(PoolId pool);
    void unhold(PoolId pool, Instant now, Orders& orders);
    /// Closes what is idle at once and everything else when it is released.
    void renew(PoolId pool, CloseReason reason, Instant now, Orders& orders);
    /// Servers opened from now on belong to `epoch`. Those of an older one are closed now, also under their clients,
    /// and nobody gets a server of this pool before the last of them is gone: no write can reach two primaries through
    /// us.
    void begin_epoch(PoolId pool, std::int64_t epoch, Instant now, Orders& orders);

    struct Counts {
        std::size_t idle = 0, active = 0, logging_in = 0, waiting = 0;
        bool operator==(const Counts&) const = default;
    };
    Counts counts(PoolId pool) const;
    std::size_t servers(DatabaseId database) const;
    std::size_t servers(UserId user) const;

    /// What is known of a server, for whoever tests or closes it.
    struct Server {
        enum class State { login, idle, active, closing };
        PoolId pool{};
        WorkerId worker = 0;
        State state = State::login;
        Instant opened_at{};
        Instant since{};  ///< in this state
        std::int64_t epoch = 0;
        std::optional<CloseReason> close_when_released;
        std::optional<ClientRef> dedicated_to;
        Links<ServerId> links;  ///< among the idle ones
    };
    const Server& server(ServerId server) const { return servers_.at(server); }
    /// For orders that come late: the number may be another server's by now, or nobody's.
    bool has(ServerId server) const { return servers_.has(server); }
    bool is(ServerId server, Server::State state) const {
        return servers_.has(server) && servers_.at(server).state == state;
    }
    struct Waiter {
        PoolId pool{};
        ClientRef client;
        Instant since{};
        Links<WaiterId> links;
    };
    template <class F>
    void each_server(F visit) {  ///< visit(ServerId, const Server&)
        servers_.each([&](ServerId id, Server& server) { visit(id, std::as_const(server)); });
    }
    /// Who has waited longest; null when nobody waits.
    const Waiter* first_waiter(PoolId pool) const;

  private:
    struct Limited {
        std::optional<std::size_t> servers_max;
        std::size_t servers = 0;
        std::vector<PoolId> pools;
        bool full() const { return servers_max && servers >= *servers_max; }
    };
    struct Pool {
        DatabaseId database{};
        UserId user{};
        PoolLimits limits;
        std::vector<Chain<Server, ServerId>> idle;  ///< of each worker, the one used last in front
        Chain<Waiter, WaiterId> waiting;
        std::size_t idle_servers = 0, active = 0, logins = 0;
        std::int64_t epoch = 0;
        std::size_t older = 0;  ///< servers of an older epoch that are not gone yet
        bool paused = false, held = false;
        Instant retry_at{};  ///< no new server before

        std::size_t servers() const { return idle_servers + active + logins; }
        bool may_serve() const { return !paused && !held && older == 0; }
    };

    Pool& at(PoolId pool) { return pools_[static_cast<std::size_t>(pool)]; }
    const Pool& at(PoolId pool) const { return pools_[static_cast<std::size_t>(pool)]; }
    const Limited& at(DatabaseId database) const { return databases_[static_cast<std::size_t>(database)]; }
    const Limited& at(UserId user) const { return users_[static_cast<std::size_t>(user)]; }
    Limited& at(DatabaseId database) { return databases_[static_cast<std::size_t>(database)]; }
    Limited& at(UserId user) { return users_[static_cast<std::size_t>(user)]; }

    void leave(WaiterId waiter);
    std::optional<ServerId> idle_for(const Pool& pool, WorkerId worker) const;
    void rest(ServerId id, Instant now);
    void wake(ServerId id, Instant now);
    void give(ServerId id, ClientRef client, Instant now, Orders& orders);
    void close(ServerId id, CloseReason reason, Instant now, Orders& orders);
    void uncount(const Server& server);
    void serve(PoolId id, Instant now, Orders& orders);
    void serve_pools_beside(PoolId id, Instant now, Orders& orders);
    bool wants_another(const Pool& pool, Instant now) const;
    bool make_room(PoolId id, Instant now, Orders& orders);
    ServerId open(PoolId id, WorkerId worker, Instant now, Orders& orders);
    std::optional<ServerId> longest_idle(const Limited& among, PoolId except) const;

    std::vector<Limited> databases_, users_;
    std::vector<Pool> pools_;
    Slab<Server, ServerId> servers_;
    Slab<Waiter, WaiterId> waiters_;
};

}  // namespace pgkeel::pool
