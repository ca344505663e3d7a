#pragma once
#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/agent_config.hpp"
#include "config/ini.hpp"
#include "config/pooler_secret.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The configuration of the proxy: one struct, and two files that fill it — pgkeel's YAML and a pgbouncer.ini. Names,
// units and defaults of the settings are PgBouncer's; they are declared in pooler_settings.cpp.

namespace pgkeel::config {

enum class PoolMode { session, transaction, statement };
enum class AuthType { any, trust, plain, md5, scram_sha_256, cert, hba, ldap, pam };
/// libpq's sslmode, for either side.
enum class TlsMode { disable, allow, prefer, require, verify_ca, verify_full };
enum class LoadBalance { round_robin, disable };
enum class LogFormat { pgkeel, pgbouncer };
/// With which system calls the bytes of clients and servers are moved.
enum class IoEngine { automatic, epoll, io_uring };
/// Which servers a listener's clients get. `configured`: those that the database's entry names, as PgBouncer does it.
enum class Route { primary, standby, any, split, configured };

const char* to_string(PoolMode mode);
const char* to_string(AuthType type);
const char* to_string(TlsMode mode);
const char* to_string(LoadBalance balance);
const char* to_string(LogFormat format);
const char* to_string(IoEngine engine);
const char* to_string(Route route);

/// Section [pgbouncer], and the scalars of `proxy:`. A time of zero means no limit, a count of zero no limit, unless
/// its help says otherwise.
struct PoolerSettings {
    /// Every setting at its default.
    PoolerSettings();
    bool operator==(const PoolerSettings&) const = default;

    std::vector<std::string> admin_users, stats_users;
    bool application_name_add_host;
    std::string auth_dbname, auth_file, auth_hba_file, auth_ident_file, auth_query, auth_user;
    Secret auth_ldap_options;
    AuthType auth_type;
    Duration autodb_idle_timeout, cancel_wait_timeout, client_idle_timeout, client_login_timeout;
    std::string client_tls13_ciphers, client_tls_ca_file, client_tls_cert_file, client_tls_ciphers,
        client_tls_dheparams, client_tls_ecdhcurve, client_tls_key_file, client_tls_protocols;
    TlsMode client_tls_sslmode;
    std::string conffile;
    std::int64_t default_pool_size;
    bool disable_pqexec;
    Duration dns_max_ttl, dns_nxdomain_ttl, dns_zone_check_period;
    Duration idle_transaction_timeout;
    std::vector<std::string> ignore_startup_parameters;
    std::string job_name;
    std::vector<std::string> listen_addr;
    std::int64_t listen_backlog, listen_port;
    bool log_connections, log_disconnections, log_pooler_errors, log_stats;
    std::string logfile;
    std::int64_t max_client_conn, max_db_client_connections, max_db_connections, max_packet_size,
        max_prepared_statements, max_user_client_connections, max_user_connections, min_pool_size, peer_id;
    std::string pidfile;
    std::int64_t pkt_buf;
    Duration pool_idle_timeout;
    PoolMode pool_mode;
    Duration query_timeout, query_wait_notify, query_wait_timeout;
    std::int64_t reserve_pool_size;
    Duration reserve_pool_timeout;
    std::string resolv_conf;
    std::int64_t sbuf_loopcnt, scram_iterations;
    Duration server_check_delay;
    std::string server_check_query;  ///< "<empty>": the empty query
    Duration server_connect_timeout;
    bool server_fast_close;
    Duration server_idle_timeout, server_lifetime, server_login_retry;
    std::string server_reset_query;
    bool server_reset_query_always, server_round_robin;
    std::string server_tls13_ciphers, server_tls_ca_file, server_tls_cert_file, server_tls_ciphers, server_tls_key_file,
        server_tls_protocols;
    TlsMode server_tls_sslmode;
    bool server_unix_sockets;
    bool so_reuseport;
    Duration stats_period, suspend_timeout;
    bool syslog;
    std::string syslog_facility, syslog_ident;
    std::int64_t tcp_defer_accept;
    bool tcp_keepalive;
    std::int64_t tcp_keepcnt;
    Duration tcp_keepidle, tcp_keepintvl;
    std::int64_t tcp_socket_buffer;
    Duration tcp_user_timeout;
    std::vector<std::string> track_extra_parameters;
    Duration transaction_timeout;
    std::string unix_socket_dir, unix_socket_group;
    std::int64_t unix_socket_mode;
    std::string user;
    std::int64_t verbose;
    std::string login_notify_message;

    // pgkeel's own.
    Duration failover_hold_timeout, switchover_drain;
    IoEngine io_engine;
    LogFormat log_format;
    std::int64_t max_held_bytes;
    std::string metrics_listen;
    bool pgbouncer_compat;
    std::int64_t standby_lag_max;
    std::int64_t threads;
};

/// One line of [databases]. What is not set is taken from the settings.
struct DatabaseEntry {
    std::string name;                ///< "*": stands for every name that has no entry
    std::string dbname;              ///< on the server; empty: the name that the client asked for
    std::vector<std::string> hosts;  ///< empty: the cluster's servers, or without a cluster the Unix socket
    std::int64_t port = 5432;
    std::string user;  ///< who logs in to the server whoever the client is; empty: the client's name
    Secret password;
    std::string auth_user, auth_query, auth_dbname;
    std::optional<std::int64_t> pool_size, min_pool_size, reserve_pool_size, max_db_connections,
        max_db_client_connections;
    std::optional<PoolMode> pool_mode;
    std::optional<Duration> query_wait_timeout, server_lifetime;
    LoadBalance load_balance_hosts = LoadBalance::round_robin;
    std::string connect_query;
    std::string client_encoding, datestyle, timezone, application_name;
    bool operator==(const DatabaseEntry&) const = default;
};

/// One line of [users].
struct UserEntry {
    std::string name;
    std::optional<std::int64_t> pool_size, reserve_pool_size, max_user_connections, max_user_client_connections;
    std::optional<PoolMode> pool_mode;
    std::optional<Duration> query_timeout, query_wait_timeout, idle_transaction_timeout, transaction_timeout,
        client_idle_timeout;
    bool operator==(const UserEntry&) const = default;
};

/// One line of [peers]: another process that may hold the client that a cancel request means.
struct PeerEntry {
    std::int64_t id = 0;
    std::string host;
    std::int64_t port = 6432;
    std::optional<std::int64_t> pool_size;
    bool operator==(const PeerEntry&) const = default;
};

struct Listener {
    std::string host;  ///< "*": every address
    std::int64_t port = 0;
    Route route = Route::configured;
    std::optional<PoolMode> pool_mode;  ///< for databases and users that have none; unset: the setting
    bool operator==(const Listener&) const = default;
};

struct PoolerConfig {
    PoolerSettings settings;
    std::map<std::string, DatabaseEntry> databases;  ///< with "*"
    std::map<std::string, UserEntry> users;
    std::map<std::int64_t, PeerEntry> peers;
    std::vector<Listener> listeners;  ///< TCP; from an ini: one for each listen_addr

    /// The cluster that is followed; without one the databases name their servers.
    bool follows_cluster = false;
    std::string scope, namespace_ = "/service";
    Etcd etcd;
    /// For the members' REST APIs: section ctl, and where that says nothing restapi. Without credentials: the proxy
    /// only asks what needs none.
    bool rest_insecure = false;
    TlsFiles rest_tls;

    std::string source;                         ///< the file, for messages
    std::map<std::string, std::string> places;  ///< "auth_type", "databases.app": where it was written
    std::vector<Problem> warnings;

    /// Where `key` was written, or the file.
    std::string place(const std::string& key) const;
};

struct PoolerReading {
    PoolerConfig config;
    std::vector<Problem> errors;  ///< in the order of the file; the config is for use only without any
};

/// A pgbouncer.ini, checked: `pgbouncer_compat` is on and there is one thread unless it says otherwise.
PoolerReading read_pooler_ini(std::string_view text, const std::string& name, const ReadIniFile& read);

/// pgkeel's YAML, checked. PATRONI_* variables count for scope, namespace and etcd3, as for the agent.
/// Errors: io_error, invalid_input — not readable at all; everything else is in the reading.
Result<PoolerReading> read_pooler_yaml(const std::string& path, const Environment& environment);

/// Either, by the file's name: *.yml, *.yaml and directories are YAML. For `pgkeel config check`.
Result<PoolerReading> read_pooler_file(const std::string& path, const Environment& environment);

/// The same for a process that starts or reloads. Errors: io_error; invalid_input — every problem, each with its place.
Result<PoolerConfig> load_pooler_config(const std::string& path, const Environment& environment);

/// What is wrong between the keys, each of which is right alone. Both readers have asked already; for a
/// pgbouncer.ini what PgBouncer tolerates is a warning.
std::vector<Problem> check_pooler(const PoolerConfig& config);

}  // namespace pgkeel::config
