#pragma once
#include "base/clock.hpp"
#include "config/pooler.hpp"
#include "pgwire/startup.hpp"

#include <cstdint>
#include <optional>
#include <string>

// What the console and the metrics tell, as plain values. The proxy fills them; names that PgBouncer uses for them are
// those of the tables.

namespace pgkeel::console {

struct PoolFacts {
    std::string database, user;
    std::uint64_t clients_active = 0;   ///< linked to a server, or idle
    std::uint64_t clients_waiting = 0;  ///< for a server
    std::uint64_t cancels_active = 0;   ///< cancel requests that were forwarded
    std::uint64_t cancels_waiting = 0;
    std::uint64_t servers_active = 0;          ///< linked to a client
    std::uint64_t servers_canceling = 0;       ///< connections that carry a cancel request
    std::uint64_t servers_being_canceled = 0;  ///< idle, but a cancel request for them is on its way
    std::uint64_t servers_idle = 0;
    std::uint64_t servers_used = 0;    ///< idle so long that they need server_check_query
    std::uint64_t servers_tested = 0;  ///< run server_reset_query or server_check_query
    std::uint64_t servers_login = 0;
    Duration longest_wait{};  ///< of the client that waits first
    config::PoolMode mode = config::PoolMode::session;
    std::optional<config::LoadBalance> load_balance;  ///< of several hosts
};

/// What is counted for a database; in averages per second, and for the times per transaction, query and assignment.
struct Counters {
    std::uint64_t server_assignments = 0;
    std::uint64_t transactions = 0;
    std::uint64_t queries = 0;
    std::uint64_t bytes_received = 0;  ///< from clients
    std::uint64_t bytes_sent = 0;      ///< to clients
    std::uint64_t transaction_time_us = 0;
    std::uint64_t query_time_us = 0;
    std::uint64_t wait_time_us = 0;
    std::uint64_t client_parses = 0;
    std::uint64_t server_parses = 0;
    std::uint64_t binds = 0;
    std::uint64_t client_logins = 0;
    bool operator==(const Counters&) const = default;
};
Counters operator+(const Counters& a, const Counters& b);
/// Of what was counted between two looks.
Counters averages(const Counters& before, const Counters& now, Duration between);

struct StatsFacts {
    std::string database;
    Counters totals;    ///< since the start
    Counters averages;  ///< of the last stats_period
};

/// A client or a server.
struct SocketFacts {
    enum class Side { client, server };
    enum class State {
        login,
        active,
        waiting,             ///< clients, for a server
        active_cancel_req,   ///< of clients
        waiting_cancel_req,  ///< of clients
        idle,                ///< servers; of clients it follows from `link`
        used,                ///< this and the following: servers
        tested,
        active_cancel,
        being_canceled,
    };
    Side side = Side::client;
    State state = State::active;
    std::string user, database;  ///< empty as long as they are not known
    pgwire::ReplicationMode replication = pgwire::ReplicationMode::none;
    std::string address;  ///< "unix" for a Unix socket
    std::uint64_t port = 0;
    std::string local_address;
    std::uint64_t local_port = 0;
    WallTime connected_at{};
    WallTime requested_at{};  ///< its last request
    Duration wait{};          ///< since its query came
    bool close_needed = false;
    std::string pointer;  ///< any text that no other client and no server has
    std::string link;     ///< the pointer of the other side; empty: none
    std::uint64_t remote_process_id = 0;
    std::string tls;  ///< "TLSv1.3/TLS_AES_256_GCM_SHA384"; empty: none
    std::string application_name;
    std::uint64_t prepared_statements = 0;
    std::uint64_t id = 0;  ///< what KILL_CLIENT takes; below 2³¹ for those who read the column as the int4 that it is

    std::string pin_reason{};  ///< why client and server stay together between transactions; empty: they do not

    /// The buffers, in bytes.
    std::uint64_t receive_position = 0, packet_position = 0, packet_remaining = 0, send_position = 0,
                  send_remaining = 0, packet_available = 0, send_available = 0;
};

struct DatabaseFacts {
    std::string name;
    std::string host;  ///< empty: the Unix socket
    std::uint64_t port = 5432;
    std::string database;     ///< on the server
    std::string forced_user;  ///< empty: none
    std::uint64_t pool_size = 0, min_pool_size = 0, reserve_pool_size = 0;
    Duration server_lifetime{};
    std::optional<config::PoolMode> mode;             ///< unset: the setting
    std::optional<config::LoadBalance> load_balance;  ///< of several hosts
    std::uint64_t connections_max = 0, connections = 0;
    std::uint64_t client_connections_max = 0, client_connections = 0;
    bool paused = false, disabled = false;
};

struct UserFacts {
    std::string name;
    std::optional<std::uint64_t> pool_size, reserve_pool_size;
    std::optional<config::PoolMode> mode;
    std::uint64_t connections_max = 0, connections = 0;
    std::uint64_t client_connections_max = 0, client_connections = 0;
};

struct ListsFacts {
    std::uint64_t databases = 0, users = 0, peers = 0, pools = 0, peer_pools = 0;
    std::uint64_t free_clients = 0, used_clients = 0, login_clients = 0, free_servers = 0, used_servers = 0;
    std::uint64_t dns_names = 0, dns_zones = 0, dns_queries = 0, dns_pending = 0;
};

struct PeerFacts {
    std::int64_t id = 0;
    std::string host;
    std::uint64_t port = 0;
    std::uint64_t pool_size = 0;
};

struct PeerPoolFacts {
    std::int64_t peer_id = 0;
    std::uint64_t cancels_active = 0, cancels_waiting = 0;
    std::uint64_t servers_canceling = 0, servers_login = 0;
};

/// A kind of object that memory is kept ready for.
struct MemFacts {
    std::string name;
    std::uint64_t object_bytes = 0, used = 0, free = 0;
    std::uint64_t total_bytes = 0;
};

struct DnsHostFacts {
    std::string name;
    std::uint64_t ttl_seconds = 0;
    std::string addresses;  ///< with commas
};

struct DnsZoneFacts {
    std::string name;
    std::uint64_t serial = 0;
    std::uint64_t hosts = 0;
};

struct StateFacts {
    enum class State { active, paused, suspended };
    State state = State::active;
};

}  // namespace pgkeel::console
