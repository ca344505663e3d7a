#include "config/pooler_settings.hpp"

#include "config/pooler_declared.hpp"

#include <fmt/format.h>

#include <array>

namespace pgkeel::config {
namespace {

using S = PoolerSettings;
constexpr Limits seconds{.unit = "s"};
constexpr Limits milliseconds{.unit = "ms"};
constexpr Limits count{};
constexpr Limits bytes{.unit = "B"};
constexpr Limits flag{.maximum = 1};

/// Expired passwords and roles that may not log in are nobody's. Every name and operator is qualified, so that a
/// search_path set by somebody else reaches none of them (CVE-2025-12819).
constexpr std::string_view auth_query_default =
    "SELECT r.rolname, CASE WHEN r.rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() THEN NULL"
    " ELSE r.rolpassword END FROM pg_catalog.pg_authid r"
    " WHERE r.rolname OPERATOR(pg_catalog.=) $1 AND r.rolcanlogin";

// Names, defaults and what needs a restart are PgBouncer's (its manual, "pgbouncer.ini"). `count`: 0 is no limit, and
// `seconds`: 0 is never, unless the help says otherwise.
constexpr auto settings_table = std::to_array<PoolerSetting>({
    {"admin_users", &S::admin_users, "users who may do everything on the admin console"},
    {"application_name_add_host", &S::application_name_add_host, "add the client's address to its application_name",
     "0", flag},
    {"auth_dbname",
     &S::auth_dbname,
     "database that auth_query runs in; default: the one asked for",
     "",
     {},
     true,
     true},
    {"auth_file", &S::auth_file, "file with users and their passwords", "", {}, true, true},
    {"auth_hba_file", &S::auth_hba_file, "rules in the syntax of pg_hba.conf, for auth_type hba"},
    {"auth_ident_file",
     &S::auth_ident_file,
     "maps in the syntax of pg_ident.conf, for rules with map=",
     "",
     {},
     true,
     true},
    {"auth_ldap_options", &S::auth_ldap_options, "options of the LDAP server, for auth_type ldap", "", {}, true, true},
    {"auth_query", &S::auth_query, "asks the server for the password of user $1: two columns, name and secret",
     auth_query_default},
    {"auth_type", &S::auth_type, "how clients prove who they are", "md5"},
    {"auth_user",
     &S::auth_user,
     "user who runs auth_query; default: users come from auth_file alone",
     "",
     {},
     true,
     true},
    {"autodb_idle_timeout", &S::autodb_idle_timeout, "forget a database of `*` that was not used for this time", "3600",
     seconds},
    {"cancel_wait_timeout", &S::cancel_wait_timeout, "give up a cancel request that could not be sent", "10", seconds},
    {"client_idle_timeout", &S::client_idle_timeout, "disconnect a client that is silent for this time", "0", seconds},
    {"client_login_timeout", &S::client_login_timeout, "disconnect a client that has not logged in", "60", seconds},
    {"client_tls13_ciphers",
     &S::client_tls13_ciphers,
     "cipher suites of TLS 1.3 for clients; default: OpenSSL's",
     "",
     {},
     true,
     true},
    {"client_tls_ca_file", &S::client_tls_ca_file, "who signs clients' certificates, PEM"},
    {"client_tls_cert_file", &S::client_tls_cert_file, "certificate that clients see, PEM"},
    {"client_tls_ciphers", &S::client_tls_ciphers, "OpenSSL cipher list for clients up to TLS 1.2", "default"},
    {"client_tls_dheparams", &S::client_tls_dheparams, "Diffie-Hellman parameters: auto, none, legacy", "auto"},
    {"client_tls_ecdhcurve", &S::client_tls_ecdhcurve, "curve of the key exchange with clients", "auto"},
    {"client_tls_key_file", &S::client_tls_key_file, "key of client_tls_cert_file, PEM"},
    {"client_tls_protocols", &S::client_tls_protocols, "TLS versions for clients: secure, all, or a list", "secure"},
    {"client_tls_sslmode", &S::client_tls_sslmode, "whether clients may, or must, use TLS", "disable"},
    {"conffile", &S::conffile, "file that RELOAD reads", "", {}, true, true},
    {"default_pool_size", &S::default_pool_size, "servers for each database and user", "20", count},
    {"disable_pqexec", &S::disable_pqexec, "refuse simple queries", "0", flag, false},
    {"dns_max_ttl", &S::dns_max_ttl, "ask DNS again after this time", "15", seconds},
    {"dns_nxdomain_ttl", &S::dns_nxdomain_ttl, "ask DNS again for a name that failed", "15", seconds},
    {"dns_zone_check_period", &S::dns_zone_check_period, "how often a zone's serial number is looked at", "0", seconds},
    {"failover_hold_timeout", &S::failover_hold_timeout, "how long clients are held while the cluster has no primary",
     "60", seconds},
    {"idle_transaction_timeout", &S::idle_transaction_timeout, "disconnect a client that idles inside a transaction",
     "0", seconds},
    {"ignore_startup_parameters", &S::ignore_startup_parameters,
     "startup parameters that clients may send and that have no effect"},
    {"io_engine",
     &S::io_engine,
     "system calls that move the bytes: epoll, io_uring (fewer of them under load; fails where there is none), or auto",
     "auto",
     {},
     false},
    {"job_name", &S::job_name, "name of this process in the system's log", "pgbouncer", {}, false},
    {"listen_addr",
     &S::listen_addr,
     "addresses for TCP, * for all; default: the Unix socket alone",
     "",
     {},
     false,
     false,
     true},
    {"listen_backlog", &S::listen_backlog, "connections that the kernel queues", "128", {.minimum = 1}, false},
    {"listen_port",
     &S::listen_port,
     "port of TCP and of the Unix socket's name; 0: a free one",
     "6432",
     {.maximum = 65535},
     false,
     false,
     true},
    {"log_connections", &S::log_connections, "log every login", "1", flag},
    {"log_disconnections", &S::log_disconnections, "log every end of a connection, and why", "1", flag},
    {"log_format", &S::log_format, "whose log lines: pgkeel, or pgbouncer for tools that read those", "pgkeel"},
    {"log_pooler_errors", &S::log_pooler_errors, "log errors that are sent to clients", "1", flag},
    {"log_stats", &S::log_stats, "log the totals every stats_period", "1", flag},
    {"logfile", &S::logfile, "file of the log; default: standard error"},
    {"login_notify_message", &S::login_notify_message, "notice that every client gets at its login"},
    {"max_client_conn", &S::max_client_conn, "clients, the admin console not counted", "100", count},
    {"max_db_client_connections", &S::max_db_client_connections, "clients for each database", "0", count},
    {"max_db_connections", &S::max_db_connections, "servers for each database", "0", count},
    {"max_held_bytes",
     &S::max_held_bytes,
     "memory for the messages of held clients",
     "67108864",
     {.unit = "B", .maximum = std::int64_t{1} << 40}},
    {"max_packet_size",
     &S::max_packet_size,
     "largest message that is let through",
     "2147483647",
     {.unit = "B", .minimum = 1, .maximum = 4294967295}},
    {"max_prepared_statements", &S::max_prepared_statements,
     "prepared statements kept on each server in transaction and statement mode; 0: not tracked", "200", count},
    {"max_user_client_connections", &S::max_user_client_connections, "clients for each user", "0", count},
    {"max_user_connections", &S::max_user_connections, "servers for each user", "0", count},
    {"metrics_listen",
     &S::metrics_listen,
     "address:port where Prometheus finds /metrics; default: nowhere",
     "",
     {},
     false},
    {"min_pool_size", &S::min_pool_size, "servers that are kept open for a database in use", "0", count},
    {"peer_id", &S::peer_id, "number of this process among its peers; 0: it has none", "0", {.maximum = 16383}},
    {"pgbouncer_compat", &S::pgbouncer_compat, "answer as PgBouncer does where PostgreSQL would answer better", "0",
     flag},
    {"pidfile", &S::pidfile, "file that holds the process id", "", {}, false},
    {"pkt_buf",
     &S::pkt_buf,
     "size of the buffer of each connection",
     "4096",
     {.unit = "B", .minimum = 64, .maximum = 1 << 26},
     false},
    {"pool_idle_timeout", &S::pool_idle_timeout, "drop a pool that was not used for this time", "0", seconds},
    {"pool_mode", &S::pool_mode, "when a server may serve the next client", "session"},
    {"query_timeout", &S::query_timeout, "longest time of a query; its server is closed", "0", seconds},
    {"query_wait_notify", &S::query_wait_notify, "tell a client that it is queued, after this time", "5", seconds},
    {"query_wait_timeout", &S::query_wait_timeout, "longest time in the queue for a server", "120", seconds},
    {"reserve_pool_size", &S::reserve_pool_size, "servers beyond the pool size, after reserve_pool_timeout", "0",
     count},
    {"reserve_pool_timeout", &S::reserve_pool_timeout, "how long the first client waits until the reserve is used", "5",
     seconds},
    {"resolv_conf", &S::resolv_conf, "resolv.conf of DNS; default: the system's", "", {}, false},
    {"sbuf_loopcnt", &S::sbuf_loopcnt, "buffers of one connection before the next has its turn", "5", count},
    {"scram_iterations",
     &S::scram_iterations,
     "iterations of SCRAM secrets that are made here",
     "4096",
     {.minimum = 1}},
    {"server_check_delay", &S::server_check_delay, "check a server that was idle for longer", "30", seconds},
    {"server_check_query", &S::server_check_query, "with this query; <empty>: the empty one; nothing: no check",
     "<empty>"},
    {"server_connect_timeout", &S::server_connect_timeout, "longest time to connect and log in to a server", "15",
     seconds},
    {"server_fast_close", &S::server_fast_close, "close servers in session mode between transactions, when told to",
     "0", flag},
    {"server_idle_timeout", &S::server_idle_timeout, "close a server that was not used for this time", "600", seconds},
    {"server_lifetime", &S::server_lifetime, "close a server of this age; 0: use each once", "3600", seconds},
    {"server_login_retry", &S::server_login_retry, "wait after a failed login to a server", "15", seconds},
    {"server_reset_query", &S::server_reset_query, "what a server runs between clients in session mode", "DISCARD ALL"},
    {"server_reset_query_always", &S::server_reset_query_always, "in every mode", "0", flag},
    {"server_round_robin", &S::server_round_robin, "take the server that was idle longest, not shortest", "0", flag},
    {"server_tls13_ciphers",
     &S::server_tls13_ciphers,
     "cipher suites of TLS 1.3 for servers; default: OpenSSL's",
     "",
     {},
     true,
     true},
    {"server_tls_ca_file", &S::server_tls_ca_file, "who signs servers' certificates, PEM"},
    {"server_tls_cert_file", &S::server_tls_cert_file, "certificate that servers see, PEM"},
    {"server_tls_ciphers", &S::server_tls_ciphers, "OpenSSL cipher list for servers up to TLS 1.2", "default"},
    {"server_tls_key_file", &S::server_tls_key_file, "key of server_tls_cert_file, PEM"},
    {"server_tls_protocols", &S::server_tls_protocols, "TLS versions for servers: secure, all, or a list", "secure"},
    {"server_tls_sslmode", &S::server_tls_sslmode, "whether servers may, or must, use TLS", "prefer"},
    {"server_unix_sockets", &S::server_unix_sockets,
     "reach a member of the cluster that runs on this machine by its unix socket", "1", flag},
    {"so_reuseport", &S::so_reuseport, "let several processes listen on the same port", "0", flag, false},
    {"standby_lag_max",
     &S::standby_lag_max,
     "WAL that a standby may still have to replay and get clients; 0: any amount",
     "16777216",
     {.unit = "B", .maximum = std::int64_t{1} << 50}},
    {"stats_period",
     &S::stats_period,
     "time between two lines of totals, and over which averages go",
     "60",
     {.unit = "s", .minimum = 1}},
    {"stats_users", &S::stats_users, "users who may look at the admin console"},
    {"suspend_timeout", &S::suspend_timeout, "longest time to flush for SUSPEND", "10", seconds},
    {"switchover_drain", &S::switchover_drain, "how long writers may finish before a planned switchover", "5", seconds},
    {"syslog", &S::syslog, "log to syslog too", "0", flag},
    {"syslog_facility", &S::syslog_facility, "its facility", "daemon"},
    {"syslog_ident", &S::syslog_ident, "name of this process there", "pgbouncer"},
    {"tcp_defer_accept", &S::tcp_defer_accept, "wake up for a connection only when data came: TCP_DEFER_ACCEPT", "1",
     count},
    {"tcp_keepalive", &S::tcp_keepalive, "let the kernel look after silent connections", "1", flag},
    {"tcp_keepcnt", &S::tcp_keepcnt, "probes without an answer; 0: the system's", "0", count},
    {"tcp_keepidle", &S::tcp_keepidle, "silence before the first probe; 0: the system's", "0", seconds},
    {"tcp_keepintvl", &S::tcp_keepintvl, "time between probes; 0: the system's", "0", seconds},
    {"tcp_socket_buffer", &S::tcp_socket_buffer, "kernel buffers of each connection; 0: the system's", "0", bytes},
    {"tcp_user_timeout", &S::tcp_user_timeout, "how long sent data may stay unacknowledged", "0", milliseconds},
    {"threads", &S::threads, "workers; 0: one for each core", "0", {.maximum = 1024}, false},
    {"track_extra_parameters",
     &S::track_extra_parameters,
     "parameters kept for each client, besides the usual ones",
     "IntervalStyle",
     {},
     false},
    {"transaction_timeout", &S::transaction_timeout, "longest time of a transaction", "0", seconds},
    {"unix_socket_dir",
     &S::unix_socket_dir,
     "directory of Unix sockets, @ before an abstract one; empty: none",
     "/tmp",
     {},
     false},
    {"unix_socket_group", &S::unix_socket_group, "group of the Unix socket", "", {}, false},
    {"unix_socket_mode", &S::unix_socket_mode, "its mode", "0777", {.unit = "mode", .maximum = 07777}, false},
    {"user", &S::user, "system user to become after the start", "", {}, false, true},
    {"verbose", &S::verbose, "more lines in the log; 0 to 2 are useful", "0", count},
});

}  // namespace

std::span<const PoolerSetting> pooler_settings() {
    return settings_table;
}

std::string_view current_name(std::string_view name) {
    if (name == "reserve_pool") return "reserve_pool_size";
    if (name == "service_name") return "job_name";
    return name;
}

PoolerSettings::PoolerSettings() {
    assign_defaults(pooler_settings(), *this);
}

Result<> set_pooler_setting(PoolerSettings& settings, std::string_view name, std::string_view value) {
    const auto* setting = find_declared(pooler_settings(), name);
    if (setting == nullptr)
        return fail(Errc::not_found, fmt::format("'{}' is not a known setting", name),
                    nearest_hint(pooler_settings(), name));
    if (auto read = setting->read(value, settings); !read)
        return fail(Errc::invalid_input, fmt::format("{}: {}", setting->name, read.error().text), read.error().hint);
    return {};
}

Result<SetOutcome> change_pooler_setting(PoolerSettings& settings, std::string_view name, std::string_view value) {
    PoolerSettings wanted = settings;
    if (auto set = set_pooler_setting(wanted, name, value); !set) return std::unexpected(std::move(set.error()));
    if (wanted == settings) return SetOutcome::unchanged;
    if (!find_declared(pooler_settings(), name)->changeable) return SetOutcome::needs_restart;
    settings = std::move(wanted);
    return SetOutcome::changed;
}

std::vector<ShownSetting> show_pooler_settings(const PoolerSettings& settings) {
    std::vector<ShownSetting> rows;
    for (const PoolerSetting& setting : pooler_settings()) {
        const auto or_null = [&](std::string text) {
            return text.empty() && setting.null_when_empty ? std::optional<std::string>() : std::move(text);
        };
        rows.push_back({.key = std::string(setting.name),
                        .value = or_null(std::visit(
                            [&](auto field) {
                                if constexpr (requires { print_value(setting.limits, settings.*field); })
                                    return print_value(setting.limits, settings.*field);
                                else
                                    return std::string();  // optional values belong to entries
                            },
                            setting.member)),
                        .default_value = or_null(std::string(setting.default_value)),
                        .changeable = setting.changeable,
                        .help = std::string(setting.help),
                        .unit = std::string(setting.limits.unit == "mode" ? "" : setting.limits.unit),
                        .secret = setting.is_secret()});
    }
    return rows;
}

}  // namespace pgkeel::config
