#include "console/tables.hpp"

#include "console/cells.hpp"

#include <array>

namespace pgkeel::console {
namespace {

struct NamedCounter {
    const char* name;
    std::uint64_t Counters::* counter;
};
/// In the order of every table that holds them; the names are those of TOTALS.
constexpr std::array named_counters{
    NamedCounter{"server_assignment_count", &Counters::server_assignments},
    NamedCounter{"xact_count", &Counters::transactions},
    NamedCounter{"query_count", &Counters::queries},
    NamedCounter{"client_bytes", &Counters::bytes_received},
    NamedCounter{"server_bytes", &Counters::bytes_sent},
    NamedCounter{"xact_time", &Counters::transaction_time_us},
    NamedCounter{"query_time", &Counters::query_time_us},
    NamedCounter{"wait_time", &Counters::wait_time_us},
    NamedCounter{"ps_client_parse_count", &Counters::client_parses},
    NamedCounter{"ps_server_parse_count", &Counters::server_parses},
    NamedCounter{"ps_bind_count", &Counters::binds},
    NamedCounter{"client_login_count", &Counters::client_logins},
};

void append_counters(Row& values, const Counters& counters) {
    for (const NamedCounter& named : named_counters) values.emplace_back(std::to_string(counters.*named.counter));
}

}  // namespace

Table pools_table(std::span<const PoolFacts> pools) {
    Table table = table_of(Kind::show_pools);
    for (const PoolFacts& pool : pools)
        table.rows.push_back(row(
            {pool.database, pool.user, int4(pool.clients_active), int4(pool.clients_waiting), int4(pool.cancels_active),
             int4(pool.cancels_waiting), int4(pool.servers_active), int4(pool.servers_canceling),
             int4(pool.servers_being_canceled), int4(pool.servers_idle), int4(pool.servers_used),
             int4(pool.servers_tested), int4(pool.servers_login), whole_seconds(pool.longest_wait),
             rest_microseconds(pool.longest_wait), config::to_string(pool.mode), pool.load_balance}));
    return table;
}

Table stats_table(std::span<const StatsFacts> databases) {
    Table table = table_of(Kind::show_stats);
    for (const StatsFacts& stats : databases) {
        Row& values = table.rows.emplace_back(row({stats.database}));
        append_counters(values, stats.totals);
        append_counters(values, stats.averages);
    }
    return table;
}

Table stats_totals_table(std::span<const StatsFacts> databases) {
    Table table = table_of(Kind::show_stats_totals);
    for (const StatsFacts& stats : databases)
        append_counters(table.rows.emplace_back(row({stats.database})), stats.totals);
    return table;
}

Table stats_averages_table(std::span<const StatsFacts> databases) {
    Table table = table_of(Kind::show_stats_averages);
    for (const StatsFacts& stats : databases)
        append_counters(table.rows.emplace_back(row({stats.database})), stats.averages);
    return table;
}

Table totals_table(const Counters& totals, const Counters& averages) {
    Table table = table_of(Kind::show_totals);
    for (const NamedCounter& named : named_counters)
        table.rows.push_back(row({std::string("total_") + named.name, totals.*named.counter}));
    for (const NamedCounter& named : named_counters)
        table.rows.push_back(row({std::string("avg_") + named.name, averages.*named.counter}));
    return table;
}

Table databases_table(std::span<const DatabaseFacts> databases) {
    Table table = table_of(Kind::show_databases);
    for (const DatabaseFacts& database : databases)
        table.rows.push_back(
            row({database.name, database.host.empty() ? Cell(std::nullopt) : Cell(database.host), int4(database.port),
                 database.database, database.forced_user.empty() ? Cell(std::nullopt) : Cell(database.forced_user),
                 int4(database.pool_size), int4(database.min_pool_size), int4(database.reserve_pool_size),
                 whole_seconds(database.server_lifetime), database.mode, database.load_balance,
                 int4(database.connections_max), int4(database.connections), int4(database.client_connections_max),
                 int4(database.client_connections), database.paused, database.disabled}));
    return table;
}

Table users_table(std::span<const UserFacts> users) {
    // PgBouncer shows a size that is not set as an empty text, not as NULL.
    const auto size = [](const std::optional<std::uint64_t>& value) {
        return value ? std::to_string(*value) : std::string();
    };
    Table table = table_of(Kind::show_users);
    for (const UserFacts& user : users)
        table.rows.push_back(
            row({user.name, size(user.pool_size), size(user.reserve_pool_size), user.mode, int4(user.connections_max),
                 int4(user.connections), int4(user.client_connections_max), int4(user.client_connections)}));
    return table;
}

Table lists_table(const ListsFacts& lists) {
    Table table = table_of(Kind::show_lists);
    const auto add = [&](const char* name, std::uint64_t items) { table.rows.push_back(row({name, int4(items)})); };
    add("databases", lists.databases);
    add("users", lists.users);
    add("peers", lists.peers);
    add("pools", lists.pools);
    add("peer_pools", lists.peer_pools);
    add("free_clients", lists.free_clients);
    add("used_clients", lists.used_clients);
    add("login_clients", lists.login_clients);
    add("free_servers", lists.free_servers);
    add("used_servers", lists.used_servers);
    add("dns_names", lists.dns_names);
    add("dns_zones", lists.dns_zones);
    add("dns_queries", lists.dns_queries);
    add("dns_pending", lists.dns_pending);
    return table;
}

Table config_table(std::span<const config::ShownSetting> settings) {
    Table table = table_of(Kind::show_config);
    for (const config::ShownSetting& setting : settings)
        table.rows.push_back(
            row({setting.key, setting.value, setting.default_value, setting.changeable ? "yes" : "no"}));
    return table;
}

Table version_table(std::string_view version) {
    Table table = table_of(Kind::show_version);
    table.rows.push_back(row({std::string(version)}));
    return table;
}

Table state_table(const StateFacts& state) {
    using State = StateFacts::State;
    Table table = table_of(Kind::show_state);
    const auto add = [&](const char* name, State which) {
        table.rows.push_back(row({name, state.state == which ? "yes" : "no"}));
    };
    add("active", State::active);
    add("paused", State::paused);
    add("suspended", State::suspended);
    return table;
}

Table peers_table(std::span<const PeerFacts> peers) {
    Table table = table_of(Kind::show_peers);
    for (const PeerFacts& peer : peers)
        table.rows.push_back(row({peer.id, peer.host, int4(peer.port), int4(peer.pool_size)}));
    return table;
}

Table peer_pools_table(std::span<const PeerPoolFacts> pools) {
    Table table = table_of(Kind::show_peer_pools);
    for (const PeerPoolFacts& pool : pools)
        table.rows.push_back(row({pool.peer_id, int4(pool.cancels_active), int4(pool.cancels_waiting),
                                  int4(pool.servers_canceling), int4(pool.servers_login)}));
    return table;
}

Table mem_table(std::span<const MemFacts> objects) {
    Table table = table_of(Kind::show_mem);
    for (const MemFacts& kind : objects)
        table.rows.push_back(
            row({kind.name, int4(kind.object_bytes), int4(kind.used), int4(kind.free), int4(kind.total_bytes)}));
    return table;
}

Table dns_hosts_table(std::span<const DnsHostFacts> hosts) {
    Table table = table_of(Kind::show_dns_hosts);
    for (const DnsHostFacts& host : hosts) table.rows.push_back(row({host.name, host.ttl_seconds, host.addresses}));
    return table;
}

Table dns_zones_table(std::span<const DnsZoneFacts> zones) {
    Table table = table_of(Kind::show_dns_zones);
    for (const DnsZoneFacts& zone : zones) table.rows.push_back(row({zone.name, zone.serial, int4(zone.hosts)}));
    return table;
}

Table parameter_table(const Command& command) {
    return {.columns = columns_of(command), .rows = {row({command.value})}};
}

}  // namespace pgkeel::console
