#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "log/log.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pgkeel::config {

namespace json = boost::json;

struct TlsFiles {
    std::string ca_file, certificate_file, key_file, key_password;
};
struct Credentials {
    std::string username, password;
    bool empty() const { return username.empty() && password.empty(); }
};
/// postgresql.authentication.{superuser,replication,rewind}: libpq's words.
struct PgUser {
    std::string username, password;
    std::map<std::string, std::string>
        connection;  ///< sslmode, sslcert, sslkey, sslrootcert, gssencmode, channel_binding, …
    /// While passwords are rotated: for when the server refuses `password`.
    std::string other_password{};
    std::string configured_password{};  ///< what the file or a variable says, whatever was rotated since
};

struct RestApi {
    std::string listen;           ///< host:port
    std::string connect_address;  ///< host:port, published as api_url
    Credentials authentication;
    TlsFiles tls;
    std::string ciphers;
    std::string verify_client = "none";
    std::vector<std::string> allowlist;
    bool allowlist_include_members = false;
    std::map<std::string, std::string> http_extra_headers, https_extra_headers;
    std::string server_tokens = "original";
    std::string api_url() const;  ///< http(s)://connect_address/patroni
};

struct Ctl {
    Credentials authentication;
    bool insecure = false;
    TlsFiles tls;
};

struct Etcd {
    std::vector<std::string> endpoints;  ///< http(s)://host:port
    Credentials authentication;
    TlsFiles tls;
    bool use_proxies = false;  ///< stay with the endpoints given
};

/// A script that bootstraps a cluster or builds a replica: `command` plus `--key=value` for every other key.
struct Method {
    std::string name;
    json::object options;  ///< as written, `command` included
};

struct Bootstrap {
    json::object dcs;  ///< becomes the key `config`
    std::string method = "initdb";
    std::optional<Method> custom;     ///< set when method is not initdb
    std::vector<std::string> initdb;  ///< "--encoding=UTF8", "--data-checksums", ready for argv
    std::vector<std::string> pg_hba;
    std::string post_bootstrap;  ///< a shell-quoted command, or empty
};

struct Callbacks {
    std::string on_start, on_stop, on_restart, on_reload, on_role_change;
};

struct Postgresql {
    std::vector<std::string> listen_hosts;
    std::string listen_port = "5432";
    std::string connect_address;  ///< host:port
    std::string proxy_address;
    std::string data_dir, config_dir, config_base_name = "postgresql", bin_dir, database = "postgres";
    std::map<std::string, std::string> bin_name;  ///< pg_ctl, initdb, … when called otherwise
    int pg_ctl_timeout_seconds = 60;
    std::string pgpass;
    PgUser superuser, replication, rewind;
    /// The section as written; what the dynamic configuration merges with (parameters, pg_hba, pg_ident, recovery_conf,
    /// custom_conf, use_pg_rewind, rewind, create_replica_methods and their sections, remove_data_directory_on_*,
    /// basebackup), but without the passwords of `authentication`.
    json::object section;
    Callbacks callbacks;
    std::string pre_promote, before_stop;
    bool use_unix_socket = false, use_unix_socket_repl = false;
    /// Path of one of PostgreSQL's programs.
    std::string program(const std::string& name) const;
};

/// The hardware watchdog that resets the machine when the agent cannot renew the lease.
struct Watchdog {
    std::string mode = "automatic";  ///< off, automatic, required
    std::string device = "/dev/watchdog";
    int safety_margin_seconds = 5;  ///< -1: half of ttl
    std::string driver = "default";
};

/// One node's file, environment applied. Where a key comes from and what it means: patroni's documentation, "YAML
/// Configuration".
struct AgentConfig {
    std::string scope, namespace_ = "/service", name;
    RestApi restapi;
    Ctl ctl;
    Etcd etcd;
    Bootstrap bootstrap;
    bool has_bootstrap = false;
    Postgresql postgresql;
    Watchdog watchdog;
    /// Commands and libraries are taken from the dynamic configuration too. False: only when this file says the same
    /// (in postgresql.parameters, postgresql.recovery_conf or bootstrap.dcs).
    bool dynamic_commands = true;
    bool guardian = true;       ///< a process that ends PostgreSQL when the agent cannot
    std::string fence_command;  ///< run against a leader that has not released its lease, before a promotion
    int fence_timeout_seconds = 30;
    int storage_timeout_seconds = 10;   ///< a write that takes longer hangs; 0: nobody looks
    std::string lost_wal_dir;           ///< empty: data_dir + "_lost_wal"
    int lost_wal_max_megabytes = 1024;  ///< 0: lost WAL is not kept
    bool lost_wal_required = false;     ///< rather stay away than lose it
    std::string credentials_file;       ///< of rotated passwords (credentials.hpp); empty: there is no place for them
    Tags tags;
    json::object published_tags;  ///< as written, order and types kept, standard false ones dropped
    log::Options log;
    std::vector<std::string> warnings;  ///< unknown keys in Patroni's sections, conflicting tags, …
    std::string source;                 ///< the file or directory, for messages

    /// "/namespace/scope/", repeated slashes squeezed.
    std::string prefix() const;
};

using Environment = std::map<std::string, std::string>;
Environment process_environment();

/// Reads FILE.yml, or a directory's *.yml and *.yaml in name order, and puts PATRONI_* variables over it. An empty
/// path: the YAML in PATRONI_CONFIGURATION alone, or when that is not set the variables alone, as Patroni does it.
/// Errors: io_error; invalid_input — with file, line and column, the value, and the nearest known key for a misspelt
/// one; every problem is named, not only the first.
Result<AgentConfig> load_agent_config(const std::string& path, const Environment& environment);

/// Only what a command needs to find the cluster: scope, namespace, etcd, ctl, restapi credentials and TLS.
Result<AgentConfig> load_client_config(const std::string& path, const Environment& environment);

}  // namespace pgkeel::config
