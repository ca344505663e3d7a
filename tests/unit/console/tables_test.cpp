#include "console/tables.hpp"

#include "wire.hpp"

#include <gtest/gtest.h>

#include <string>

namespace pgkeel::console {
namespace {

using namespace std::chrono_literals;

/// "database t, cl_active i"
std::string columns(const Table& table) {
    std::string text;
    for (const Column& column : table.columns) {
        const char* type = column.type == Type::text   ? "t"
                           : column.type == Type::int4 ? "i"
                           : column.type == Type::int8 ? "q"
                                                       : "n";
        text += (text.empty() ? "" : ", ") + column.name + " " + type;
    }
    for (const Row& values : table.rows) EXPECT_EQ(values.size(), table.columns.size()) << text;
    return text;
}

std::string line(const Row& values) {
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : "|") + value.value_or("~");
    return text;
}

Counters counted(std::uint64_t first) {
    return {.server_assignments = first,
            .transactions = first + 1,
            .queries = first + 2,
            .bytes_received = first + 3,
            .bytes_sent = first + 4,
            .transaction_time_us = first + 5,
            .query_time_us = first + 6,
            .wait_time_us = first + 7,
            .client_parses = first + 8,
            .server_parses = first + 9,
            .binds = first + 10,
            .client_logins = first + 11};
}

TEST(tables, pools) {
    const PoolFacts pool{.database = "app",
                         .user = "web",
                         .clients_active = 1,
                         .clients_waiting = 2,
                         .cancels_active = 3,
                         .cancels_waiting = 4,
                         .servers_active = 5,
                         .servers_canceling = 6,
                         .servers_being_canceled = 7,
                         .servers_idle = 8,
                         .servers_used = 9,
                         .servers_tested = 10,
                         .servers_login = 11,
                         .longest_wait = 12s + 34us,
                         .mode = config::PoolMode::transaction,
                         .load_balance = config::LoadBalance::round_robin};
    const PoolFacts other{.database = "app", .user = "job", .clients_active = 5'000'000'000, .load_balance = {}};
    const Table table = pools_table(std::array{pool, other});
    EXPECT_EQ(
        columns(table),
        "database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i, "
        "sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, "
        "maxwait_us i, pool_mode t, load_balance_hosts t");
    EXPECT_EQ(line(table.rows[0]), "app|web|1|2|3|4|5|6|7|8|9|10|11|12|34|transaction|round-robin");
    EXPECT_EQ(line(table.rows[1]), "app|job|2147483647|0|0|0|0|0|0|0|0|0|0|0|0|session|~");
}

TEST(tables, stats) {
    const StatsFacts stats{.database = "app", .totals = counted(100), .averages = counted(200)};
    const Table table = stats_table({&stats, 1});
    EXPECT_EQ(columns(table),
              "database t, total_server_assignment_count n, total_xact_count n, total_query_count n, total_received n, "
              "total_sent n, total_xact_time n, total_query_time n, total_wait_time n, total_client_parse_count n, "
              "total_server_parse_count n, total_bind_count n, total_client_login_count n, "
              "avg_server_assignment_count n, avg_xact_count n, avg_query_count n, avg_recv n, avg_sent n, "
              "avg_xact_time n, avg_query_time n, avg_wait_time n, avg_client_parse_count n, avg_server_parse_count n, "
              "avg_bind_count n, avg_client_login_count n");
    EXPECT_EQ(line(table.rows[0]),
              "app|100|101|102|103|104|105|106|107|108|109|110|111|200|201|202|203|204|205|206|207|208|209|210|211");
}

TEST(tables, stats_totals_and_averages) {
    const StatsFacts stats{.database = "app", .totals = counted(100), .averages = counted(200)};
    const Table totals = stats_totals_table({&stats, 1});
    EXPECT_EQ(columns(totals),
              "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
              "xact_time n, query_time n, wait_time n, client_parse_count n, server_parse_count n, bind_count n, "
              "client_login_count n");
    EXPECT_EQ(line(totals.rows[0]), "app|100|101|102|103|104|105|106|107|108|109|110|111");
    const Table average = stats_averages_table({&stats, 1});
    EXPECT_EQ(columns(average),
              "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
              "xact_time n, query_time n, wait_time n, avg_client_parse_count n, avg_server_parse_count n, "
              "avg_bind_count n, avg_client_login_count n");
    EXPECT_EQ(line(average.rows[0]), "app|200|201|202|203|204|205|206|207|208|209|210|211");
}

TEST(tables, totals) {
    const Table table = totals_table(counted(1), counted(50));
    EXPECT_EQ(columns(table), "name t, value n");
    std::string rows;
    for (const Row& values : table.rows) rows += line(values) + " ";
    EXPECT_EQ(rows,
              "total_server_assignment_count|1 total_xact_count|2 total_query_count|3 total_client_bytes|4 "
              "total_server_bytes|5 total_xact_time|6 total_query_time|7 total_wait_time|8 "
              "total_ps_client_parse_count|9 total_ps_server_parse_count|10 total_ps_bind_count|11 "
              "total_client_login_count|12 avg_server_assignment_count|50 avg_xact_count|51 avg_query_count|52 "
              "avg_client_bytes|53 avg_server_bytes|54 avg_xact_time|55 avg_query_time|56 avg_wait_time|57 "
              "avg_ps_client_parse_count|58 avg_ps_server_parse_count|59 avg_ps_bind_count|60 "
              "avg_client_login_count|61 ");
}

TEST(tables, averages_are_per_second_and_times_per_event) {
    Counters before = counted(1000);
    Counters now = before + Counters{.server_assignments = 4,
                                     .transactions = 10,
                                     .queries = 20,
                                     .bytes_received = 600,
                                     .bytes_sent = 1200,
                                     .transaction_time_us = 5000,
                                     .query_time_us = 4000,
                                     .wait_time_us = 80,
                                     .client_parses = 2,
                                     .server_parses = 6,
                                     .binds = 60,
                                     .client_logins = 1};
    EXPECT_EQ(averages(before, now, 2s), (Counters{.server_assignments = 2,
                                                   .transactions = 5,
                                                   .queries = 10,
                                                   .bytes_received = 300,
                                                   .bytes_sent = 600,
                                                   .transaction_time_us = 500,
                                                   .query_time_us = 200,
                                                   .wait_time_us = 20,
                                                   .client_parses = 1,
                                                   .server_parses = 3,
                                                   .binds = 30,
                                                   .client_logins = 0}));
    EXPECT_EQ(averages(now, before, 2s), Counters());
    EXPECT_EQ(averages(before, now, 0s), Counters());
}

SocketFacts client() {
    return {
        .side = SocketFacts::Side::client,
        .state = SocketFacts::State::active,
        .user = "web",
        .database = "app",
        .replication = pgwire::ReplicationMode::none,
        .address = "10.0.0.9",
        .port = 51234,
        .local_address = "10.0.0.1",
        .local_port = 6432,
        .connected_at = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 21) + 10h + 31min + 54s + 999ms),
        .requested_at = WallTime(std::chrono::sys_days(std::chrono::year(2024) / 2 / 29) + 23h + 59min + 59s),
        .wait = 3s + 250'000us,
        .close_needed = true,
        .pointer = "0x1",
        .link = "0x2",
        .remote_process_id = 77,
        .tls = "TLSv1.3/TLS_AES_256_GCM_SHA384",
        .application_name = "psql",
        .prepared_statements = 3,
        .id = 12,
        .receive_position = 1,
        .packet_position = 2,
        .packet_remaining = 3,
        .send_position = 4,
        .send_remaining = 5,
        .packet_available = 6,
        .send_available = 7};
}

constexpr const char* socket_columns =
    "type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i, connect_time t, "
    "request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t, "
    "prepared_statements i, id i";

TEST(tables, clients_and_servers) {
    SocketFacts unlinked = client();
    unlinked.link = "";
    SocketFacts server = client();
    server.side = SocketFacts::Side::server;
    server.state = SocketFacts::State::login;
    server.user = server.database = "";
    server.replication = pgwire::ReplicationMode::logical;
    server.requested_at = {};
    const std::array sockets{client(), server, unlinked};

    const Table clients = clients_table(sockets);
    EXPECT_EQ(columns(clients), socket_columns);
    ASSERT_EQ(clients.rows.size(), 2U);
    EXPECT_EQ(
        line(clients.rows[0]),
        "C|web|app|none|active|10.0.0.9|51234|10.0.0.1|6432|2026-11-21 10:31:54 UTC|2024-02-29 23:59:59 UTC|3|250000|1|"
        "0x1|0x2|77|TLSv1.3/TLS_AES_256_GCM_SHA384|psql|3|12");
    EXPECT_EQ(clients.rows[1][4], "idle");

    const Table servers = servers_table(sockets);
    EXPECT_EQ(columns(servers), socket_columns);
    ASSERT_EQ(servers.rows.size(), 1U);
    EXPECT_EQ(line(servers.rows[0]).substr(0, 30), "S|(nouser)|(nodb)|logical|new|");
    EXPECT_EQ(servers.rows[0][10], "");
}

TEST(tables, clients_and_servers_tell_more_than_pgbouncer_when_asked) {
    SocketFacts pinned = client();
    pinned.pin_reason = "listen,temporary";
    SocketFacts server = client();
    server.side = SocketFacts::Side::server;
    const std::array sockets{pinned, server};
    const Table clients = clients_table(sockets, true);
    EXPECT_EQ(columns(clients), std::string(socket_columns) + ", pin_reason t");
    EXPECT_TRUE(line(clients.rows.at(0)).ends_with("|3|12|listen,temporary"));
    const Table servers = servers_table(sockets, true);
    EXPECT_EQ(columns(servers), columns(clients));
    EXPECT_TRUE(line(servers.rows.at(0)).ends_with("|3|12|"));
    EXPECT_EQ(columns_of({.kind = Kind::show_sockets, .own_columns = true}), columns_of({.kind = Kind::show_sockets}));
}

TEST(tables, sockets) {
    SocketFacts server = client();
    server.side = SocketFacts::Side::server;
    server.state = SocketFacts::State::login;
    const Table table = sockets_table(std::array{client(), server});
    EXPECT_EQ(columns(table), std::string(socket_columns) +
                                  ", recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i, "
                                  "send_avail i");
    EXPECT_EQ(table.rows[0][4], "cl_active");
    EXPECT_EQ(table.rows[1][4], "sv_login");
    EXPECT_TRUE(line(table.rows[0]).ends_with("|12|1|2|3|4|5|6|7"));
    EXPECT_EQ(columns_of({.kind = Kind::show_active_sockets}), table.columns);
}

TEST(tables, databases) {
    const DatabaseFacts full{.name = "app",
                             .host = "10.0.0.5,10.0.0.6",
                             .port = 5433,
                             .database = "app_db",
                             .forced_user = "owner",
                             .pool_size = 20,
                             .min_pool_size = 2,
                             .reserve_pool_size = 5,
                             .server_lifetime = 3600s,
                             .mode = config::PoolMode::statement,
                             .load_balance = config::LoadBalance::disable,
                             .connections_max = 50,
                             .connections = 7,
                             .client_connections_max = 100,
                             .client_connections = 9,
                             .paused = true,
                             .disabled = false};
    const DatabaseFacts bare{
        .name = "b", .host = "", .database = "b", .forced_user = "", .mode = {}, .load_balance = {}};
    const Table table = databases_table(std::array{full, bare});
    EXPECT_EQ(columns(table),
              "name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i, "
              "server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i, "
              "max_client_connections i, current_client_connections i, paused i, disabled i");
    EXPECT_EQ(line(table.rows[0]),
              "app|10.0.0.5,10.0.0.6|5433|app_db|owner|20|2|5|3600|statement|disable|50|7|100|9|1|0");
    EXPECT_EQ(line(table.rows[1]), "b|~|5432|b|~|0|0|0|0|~|~|0|0|0|0|0|0");
}

TEST(tables, users_peers_and_the_small_ones) {
    const UserFacts web{.name = "web",
                        .pool_size = 5,
                        .reserve_pool_size = 0,
                        .mode = config::PoolMode::session,
                        .connections_max = 1,
                        .connections = 2,
                        .client_connections_max = 3,
                        .client_connections = 4};
    const UserFacts bare{.name = "bare", .pool_size = {}, .reserve_pool_size = {}, .mode = {}};
    const Table users = users_table(std::array{web, bare});
    EXPECT_EQ(columns(users),
              "name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i, "
              "current_connections i, max_user_client_connections i, current_client_connections i");
    EXPECT_EQ(line(users.rows[0]), "web|5|0|session|1|2|3|4");
    EXPECT_EQ(line(users.rows[1]), "bare|||~|0|0|0|0");

    const PeerFacts peer{.id = 2, .host = "10.0.0.2", .port = 6432, .pool_size = 3};
    const Table peers = peers_table({&peer, 1});
    EXPECT_EQ(columns(peers), "peer_id i, host t, port i, pool_size i");
    EXPECT_EQ(line(peers.rows[0]), "2|10.0.0.2|6432|3");
    const PeerPoolFacts pool{
        .peer_id = 2, .cancels_active = 1, .cancels_waiting = 3, .servers_canceling = 4, .servers_login = 5};
    const Table pools = peer_pools_table({&pool, 1});
    EXPECT_EQ(columns(pools),
              "peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i, sv_login i");
    EXPECT_EQ(line(pools.rows[0]), "2|1|3|4|5");

    const MemFacts memory{.name = "client", .object_bytes = 600, .used = 1, .free = 2, .total_bytes = 1800};
    const Table mem = mem_table({&memory, 1});
    EXPECT_EQ(columns(mem), "name t, size i, used i, free i, memtotal i");
    EXPECT_EQ(line(mem.rows[0]), "client|600|1|2|1800");
    const DnsHostFacts host{.name = "db", .ttl_seconds = 15, .addresses = "10.0.0.5:0,10.0.0.6:0"};
    const Table hosts = dns_hosts_table({&host, 1});
    EXPECT_EQ(columns(hosts), "hostname t, ttl q, addrs t");
    EXPECT_EQ(line(hosts.rows[0]), "db|15|10.0.0.5:0,10.0.0.6:0");
    const DnsZoneFacts zone{.name = "example.org", .serial = 5'000'000'000, .hosts = 2};
    const Table zones = dns_zones_table({&zone, 1});
    EXPECT_EQ(columns(zones), "zonename t, serial q, count i");
    EXPECT_EQ(line(zones.rows[0]), "example.org|5000000000|2");
}

TEST(tables, lists) {
    const Table table = lists_table({.databases = 1,
                                     .users = 2,
                                     .peers = 3,
                                     .pools = 4,
                                     .peer_pools = 5,
                                     .free_clients = 6,
                                     .used_clients = 7,
                                     .login_clients = 8,
                                     .free_servers = 9,
                                     .used_servers = 10,
                                     .dns_names = 11,
                                     .dns_zones = 12,
                                     .dns_queries = 13,
                                     .dns_pending = 14});
    EXPECT_EQ(columns(table), "list t, items i");
    std::string rows;
    for (const Row& values : table.rows) rows += line(values) + " ";
    EXPECT_EQ(rows,
              "databases|1 users|2 peers|3 pools|4 peer_pools|5 free_clients|6 used_clients|7 login_clients|8 "
              "free_servers|9 used_servers|10 dns_names|11 dns_zones|12 dns_queries|13 dns_pending|14 ");
}

TEST(tables, config_shows_every_setting_with_its_default_and_no_secret) {
    config::PoolerSettings settings;
    settings.max_client_conn = 4321;
    settings.auth_ldap_options = config::Secret("ldapbindpasswd=hunter2");
    const Table table = config_table(config::show_pooler_settings(settings));
    EXPECT_EQ(columns(table), "key t, value t, default t, changeable t");
    std::string found;
    for (const Row& values : table.rows) {
        EXPECT_FALSE(line(values).contains("hunter2"));
        if (values[0] == "max_client_conn" || values[0] == "listen_port") found += line(values) + " ";
    }
    EXPECT_EQ(found, "listen_port|6432|6432|no max_client_conn|4321|100|yes ");
}

TEST(tables, version_state_and_parameters) {
    const Table version = version_table("pgkeel 0.1.0");
    EXPECT_EQ(columns(version), "version t");
    EXPECT_EQ(line(version.rows[0]), "pgkeel 0.1.0");
    const Table state = state_table({.state = StateFacts::State::paused});
    EXPECT_EQ(columns(state), "key t, value t");
    EXPECT_EQ(line(state.rows[0]) + line(state.rows[1]) + line(state.rows[2]), "active|nopaused|yessuspended|no");
    const Table zone = parameter_table({.kind = Kind::show_parameter, .argument = "timezone", .value = "GMT"});
    EXPECT_EQ(columns(zone), "timezone t");
    EXPECT_EQ(line(zone.rows[0]), "GMT");
}

TEST(tables, an_answer_is_these_bytes) {
    std::string out;
    append_answer(out, {.columns = {{"name", Type::text}, {"n", Type::int4}, {"q", Type::int8}, {"v", Type::numeric}},
                        .rows = {{"a", "7", std::nullopt, ""}}});
    EXPECT_EQ(out, bytes("T\0\0\0\131\0\4"
                         "name\0\0\0\0\0\0\0\0\0\0\031\377\377\377\377\377\377\0\0"
                         "n\0\0\0\0\0\0\0\0\0\0\027\0\4\377\377\377\377\0\0"
                         "q\0\0\0\0\0\0\0\0\0\0\024\0\010\377\377\377\377\0\0"
                         "v\0\0\0\0\0\0\0\0\0\6\244\377\377\377\377\377\377\0\0"
                         "D\0\0\0\030\0\4\0\0\0\1a\0\0\0\0017\377\377\377\377\0\0\0\0"
                         "C\0\0\0\011SHOW\0"));
}

}  // namespace
}  // namespace pgkeel::console
