#include "config/pooler_declared.hpp"

#include <array>

// What may stand in a line of [databases], [users] and [peers], or in their maps in YAML.

namespace pgkeel::config {
namespace {

constexpr Limits seconds{.unit = "s"};
constexpr Limits port{.minimum = 1, .maximum = 65535};

using D = DatabaseEntry;
constexpr auto databases_table = std::to_array<Declared<DatabaseEntry>>({
    {"application_name", &D::application_name, "application_name of its servers before a client sets one"},
    {"auth_dbname", &D::auth_dbname, "as the setting"},
    {"auth_query", &D::auth_query, "as the setting"},
    {"auth_user", &D::auth_user, "as the setting"},
    {"client_encoding", &D::client_encoding, "client_encoding of its servers at their start"},
    {"connect_query", &D::connect_query, "what each server runs before it is used"},
    {"datestyle", &D::datestyle, "DateStyle of its servers at their start"},
    {"dbname", &D::dbname, "name on the server; default: the name here"},
    {"host", &D::hosts, "servers, with commas; a path is a Unix socket's directory"},
    {"load_balance_hosts", &D::load_balance_hosts, "which of several servers is next", "round-robin"},
    {"max_db_client_connections", &D::max_db_client_connections, "as the setting"},
    {"max_db_connections", &D::max_db_connections, "as the setting"},
    {"min_pool_size", &D::min_pool_size, "as the setting"},
    {"password", &D::password, "password of `user`"},
    {"pool_mode", &D::pool_mode, "as the setting"},
    {"pool_size", &D::pool_size, "as default_pool_size"},
    {"port", &D::port, "port of the servers", "5432", port},
    {"query_wait_timeout", &D::query_wait_timeout, "as the setting", "", seconds},
    {"reserve_pool_size", &D::reserve_pool_size, "as the setting"},
    {"server_lifetime", &D::server_lifetime, "as the setting", "", seconds},
    {"timezone", &D::timezone, "TimeZone of its servers at their start"},
    {"user", &D::user, "user on the server, whoever the client is"},
});

using U = UserEntry;
constexpr auto users_table = std::to_array<Declared<UserEntry>>({
    {"client_idle_timeout", &U::client_idle_timeout, "as the setting", "", seconds},
    {"idle_transaction_timeout", &U::idle_transaction_timeout, "as the setting", "", seconds},
    {"max_user_client_connections", &U::max_user_client_connections, "as the setting"},
    {"max_user_connections", &U::max_user_connections, "as the setting"},
    {"pool_mode", &U::pool_mode, "as the setting"},
    {"pool_size", &U::pool_size, "as default_pool_size"},
    {"query_timeout", &U::query_timeout, "as the setting", "", seconds},
    {"query_wait_timeout", &U::query_wait_timeout, "as the setting", "", seconds},
    {"reserve_pool_size", &U::reserve_pool_size, "as the setting"},
    {"transaction_timeout", &U::transaction_timeout, "as the setting", "", seconds},
});

using P = PeerEntry;
constexpr auto peers_table = std::to_array<Declared<PeerEntry>>({
    {"host", &P::host, "where the peer listens; a path is its Unix socket's directory"},
    {"pool_size", &P::pool_size, "connections to it; as default_pool_size"},
    {"port", &P::port, "its port", "6432", port},
});

using L = Listener;
constexpr auto listeners_table = std::to_array<Declared<Listener>>({
    {"pool_mode", &L::pool_mode, "as the setting, for databases and users that have none"},
    {"route", &L::route, "which servers its clients get: primary, standby, any, split", "primary"},
});

}  // namespace

std::span<const Declared<DatabaseEntry>> database_keys() {
    return databases_table;
}
std::span<const Declared<UserEntry>> user_keys() {
    return users_table;
}
std::span<const Declared<PeerEntry>> peer_keys() {
    return peers_table;
}
std::span<const Declared<Listener>> listener_keys() {
    return listeners_table;
}

}  // namespace pgkeel::config
