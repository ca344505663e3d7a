#pragma once
#include "config/pooler_settings.hpp"
#include "console/facts.hpp"
#include "console/table.hpp"

#include <span>
#include <string>
#include <string_view>

// The answers of SHOW: the facts as tables with PgBouncer's columns.

namespace pgkeel::console {

Table pools_table(std::span<const PoolFacts> pools);
/// STATS, STATS_TOTALS and STATS_AVERAGES.
Table stats_table(std::span<const StatsFacts> databases);
Table stats_totals_table(std::span<const StatsFacts> databases);
Table stats_averages_table(std::span<const StatsFacts> databases);
/// TOTALS: over all databases.
Table totals_table(const Counters& totals, const Counters& averages);
/// CLIENTS and SERVERS: `sockets` holds either.
/// \param own_columns  with what PgBouncer does not tell
Table clients_table(std::span<const SocketFacts> sockets, bool own_columns = false);
Table servers_table(std::span<const SocketFacts> sockets, bool own_columns = false);
/// SOCKETS and ACTIVE_SOCKETS: both, and more of each.
Table sockets_table(std::span<const SocketFacts> sockets);
Table databases_table(std::span<const DatabaseFacts> databases);
Table users_table(std::span<const UserFacts> users);
Table lists_table(const ListsFacts& lists);
Table config_table(std::span<const config::ShownSetting> settings);
/// \param version  the first line of `pgkeel --version`
Table version_table(std::string_view version);
Table state_table(const StateFacts& state);
Table peers_table(std::span<const PeerFacts> peers);
Table peer_pools_table(std::span<const PeerPoolFacts> pools);
Table mem_table(std::span<const MemFacts> objects);
Table dns_hosts_table(std::span<const DnsHostFacts> hosts);
Table dns_zones_table(std::span<const DnsZoneFacts> zones);
/// SHOW of a session parameter, whose value the command knows.
Table parameter_table(const Command& command);

/// "2026-11-21 10:31:54 UTC"; empty for the epoch: never.
std::string time_text(WallTime time);

}  // namespace pgkeel::console
