#include "proxy/facts.hpp"

#include "console/metrics.hpp"
#include "console/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace pgkeel::proxy {

using console::SocketFacts;
using pool::Client;
using pool::Server;

namespace {

constexpr const char* console_database = "pgbouncer";

void count(console::Counters& into, const pool::Stats& stats) {
    into = into + console::Counters{.server_assignments = stats.assignments,
                                    .transactions = stats.transactions,
                                    .queries = stats.queries,
                                    .bytes_received = stats.received,
                                    .bytes_sent = stats.sent,
                                    .transaction_time_us = stats.transaction_time,
                                    .query_time_us = stats.query_time,
                                    .wait_time_us = stats.wait_time,
                                    .client_parses = stats.client_parses,
                                    .server_parses = stats.server_parses,
                                    .binds = stats.binds,
                                    .client_logins = stats.logins};
}

void add_wire(SocketFacts& facts, const pool::Wire* wire) {
    if (wire == nullptr) return;
    const pool::WireFacts& place = wire->facts();
    facts.address = place.unix_socket ? "unix" : place.address;
    facts.port = place.port;
    facts.local_address = place.unix_socket ? "unix" : place.local_address;
    facts.local_port = place.local_port;
    if (place.unix_socket) facts.port = place.local_port;
    if (const pool::TlsFacts* tls = wire->tls()) facts.tls = fmt::format("{}/{}", tls->version, tls->cipher);
}

void add_settings(SocketFacts& facts, const pool::Settings& settings) {
    if (const std::string* name = settings.find("application_name")) facts.application_name = *name;
}

bool is_used(const Server& server, const config::PoolerSettings& settings, Instant now) {
    return server.state() == Server::State::idle && now - server.since() > settings.server_check_delay;
}

SocketFacts::State state_of(const Client& client) {
    switch (client.state()) {
        case Client::State::opening:
        case Client::State::authenticating:
            return SocketFacts::State::login;
        case Client::State::welcoming:
        case Client::State::waiting:
            return SocketFacts::State::waiting;
        case Client::State::cancelling:
            return SocketFacts::State::active_cancel_req;
        default:
            return SocketFacts::State::active;
    }
}

SocketFacts::State state_of(const Server& server, bool used) {
    switch (server.state()) {
        case Server::State::connecting:
        case Server::State::logging_in:
        case Server::State::setting_up:
            return SocketFacts::State::login;
        case Server::State::testing:
        case Server::State::cleaning:
            return server.is_cancelling() ? SocketFacts::State::being_canceled : SocketFacts::State::tested;
        case Server::State::idle:
            return used ? SocketFacts::State::used : SocketFacts::State::idle;
        default:
            return SocketFacts::State::active;
    }
}

std::uint64_t number(std::int64_t value) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, value));
}

}  // namespace

std::vector<console::PoolFacts> pool_facts(World& world) {
    std::map<const pool::PoolRecord*, console::PoolFacts> pools;
    pool::Hub& hub = world.hub();
    const auto& settings = hub.config()->settings;
    for (const auto& [key, record] : hub.pools) {
        if (record->is_forgotten) continue;
        console::PoolFacts& facts = pools[record.get()];
        facts.database = record->database->name;
        facts.user = record->user->name;
        facts.mode = hub.mode_of(*record, *record->user, {});
        if (record->database->entry.hosts.size() > 1) facts.load_balance = record->database->entry.load_balance_hosts;
    }
    console::PoolFacts own;
    own.database = own.user = console_database;
    own.mode = config::PoolMode::statement;
    for (const auto& thread : world.threads()) {
        const Instant now = thread->now();
        thread->worker().each_client([&](Client& client) {
            if (client.is_console()) ++own.clients_active;
            if (client.pool() == nullptr) return;
            console::PoolFacts& facts = pools[client.pool()];
            if (client.state() == Client::State::waiting || client.state() == Client::State::welcoming) {
                ++facts.clients_waiting;
                facts.longest_wait = std::max(facts.longest_wait, now - client.since());
            } else if (client.has_logged_in()) {
                ++facts.clients_active;
            }
        });
        thread->worker().each_server([&](Server& server) {
            console::PoolFacts& facts = pools[&server.pool()];
            switch (state_of(server, is_used(server, settings, now))) {
                case SocketFacts::State::login:
                    ++facts.servers_login;
                    break;
                case SocketFacts::State::tested:
                    ++facts.servers_tested;
                    break;
                case SocketFacts::State::being_canceled:
                    ++facts.servers_being_canceled;
                    break;
                case SocketFacts::State::used:
                    ++facts.servers_used;
                    break;
                case SocketFacts::State::idle:
                    ++facts.servers_idle;
                    break;
                default:
                    ++facts.servers_active;
            }
        });
        thread->worker().each_cancel([&](const pool::CancelCall& call) {
            if (call.is_over() || !call.server()) return;
            Server* const server = thread->worker().server(*call.server());
            if (server == nullptr) return;
            console::PoolFacts& facts = pools[&server->pool()];
            ++facts.cancels_active;
            ++facts.servers_canceling;
        });
    }
    std::vector<console::PoolFacts> all;
    for (auto& [record, facts] : pools) all.push_back(std::move(facts));
    all.push_back(std::move(own));
    std::ranges::sort(all, {}, [](const auto& facts) { return std::tie(facts.database, facts.user); });
    return all;
}

std::vector<SocketFacts> client_facts(World& world) {
    std::vector<SocketFacts> all;
    for (const auto& thread : world.threads()) {
        const Instant now = thread->now();
        const WallTime wall = thread->wall_now();
        thread->worker().each_client([&](Client& client) {
            SocketFacts facts;
            facts.side = SocketFacts::Side::client;
            facts.state = state_of(client);
            if (client.user() != nullptr) facts.user = client.user()->name;
            if (client.database() != nullptr) facts.database = client.database()->name;
            if (client.is_console()) facts.database = console_database;
            facts.replication = client.replication();
            add_wire(facts, &client.wire());
            facts.connected_at = client.connected_at();
            facts.requested_at = wall - std::chrono::duration_cast<WallTime::duration>(now - client.since());
            if (facts.state == SocketFacts::State::waiting) facts.wait = now - client.since();
            facts.pointer = fmt::format("{}", fmt::ptr(&client));
            if (client.server() != nullptr) {
                facts.link = fmt::format("{}", fmt::ptr(client.server()));
            } else if (client.is_console()) {
                facts.link = facts.pointer;
            }
            facts.remote_process_id = number(client.wire().facts().peer_pid);
            add_settings(facts, client.settings());
            facts.prepared_statements = client.prepared();
            facts.pin_reason = client.pins().text();
            facts.id = client.number();
            all.push_back(std::move(facts));
        });
    }
    return all;
}

std::vector<SocketFacts> server_facts(World& world) {
    std::vector<SocketFacts> all;
    const auto& settings = world.hub().config()->settings;
    for (const auto& thread : world.threads()) {
        const Instant now = thread->now();
        const WallTime wall = thread->wall_now();
        thread->worker().each_server([&](Server& server) {
            SocketFacts facts;
            facts.side = SocketFacts::Side::server;
            facts.state = state_of(server, is_used(server, settings, now));
            facts.user = server.pool().user->name;
            facts.database = server.pool().database->name;
            facts.replication = server.opening().replication;
            add_wire(facts, server.wire_if_any());
            facts.port = server.port();
            facts.connected_at = server.connected_at();
            facts.requested_at = wall - std::chrono::duration_cast<WallTime::duration>(now - server.since());
            const pool::Book& book = world.hub().book;
            facts.close_needed = book.is(server.id(), pool::Book::Server::State::closing) ||
                                 (book.has(server.id()) && book.server(server.id()).close_when_released.has_value());
            facts.pointer = fmt::format("{}", fmt::ptr(&server));
            if (const Client* client = dynamic_cast<const Client*>(server.partner())) {
                facts.link = fmt::format("{}", fmt::ptr(client));
                facts.pin_reason = client->pins().text();
            }
            facts.remote_process_id = server.process_id();
            add_settings(facts, server.settings());
            facts.prepared_statements = server.prepared();
            facts.id = server.number();
            all.push_back(std::move(facts));
        });
    }
    return all;
}

std::vector<console::DatabaseFacts> database_facts(World& world) {
    std::vector<console::DatabaseFacts> all;
    const pool::Hub& hub = world.hub();
    const auto config = hub.config();
    const auto& settings = config->settings;
    const auto add = [&](const std::string& name, const config::DatabaseEntry& entry,
                         const pool::DatabaseRecord* record) {
        console::DatabaseFacts facts;
        facts.name = name;
        for (const std::string& host : entry.hosts) facts.host += (facts.host.empty() ? "" : ",") + host;
        facts.port = number(entry.port);
        facts.database = entry.dbname.empty() ? name : entry.dbname;
        facts.forced_user = entry.user;
        facts.pool_size = number(entry.pool_size.value_or(settings.default_pool_size));
        facts.min_pool_size = number(entry.min_pool_size.value_or(settings.min_pool_size));
        facts.reserve_pool_size = number(entry.reserve_pool_size.value_or(settings.reserve_pool_size));
        facts.server_lifetime = entry.server_lifetime.value_or(settings.server_lifetime);
        facts.mode = entry.pool_mode;
        if (entry.hosts.size() > 1) facts.load_balance = entry.load_balance_hosts;
        facts.connections_max = number(entry.max_db_connections.value_or(settings.max_db_connections));
        facts.client_connections_max =
            number(entry.max_db_client_connections.value_or(settings.max_db_client_connections));
        if (record != nullptr) {
            facts.connections = hub.book.servers(record->id);
            facts.client_connections = record->clients;
            facts.paused = record->paused;
            facts.disabled = record->disabled;
        }
        all.push_back(std::move(facts));
    };
    for (const auto& [name, entry] : config->databases) {
        if (name == "*") continue;
        const auto record = hub.databases.find(name);
        add(name, entry, record == hub.databases.end() ? nullptr : record->second.get());
    }
    for (const auto& [name, record] : hub.databases)
        if (record->automatic && !record->removed) add(name, record->entry, record.get());
    console::DatabaseFacts own;
    own.name = own.database = own.forced_user = console_database;
    own.port = number(settings.listen_port);
    own.pool_size = 2;
    own.mode = config::PoolMode::statement;
    own.client_connections = hub.console_clients;
    own.client_connections_max = number(settings.max_db_client_connections);
    all.push_back(std::move(own));
    std::ranges::sort(all, {}, &console::DatabaseFacts::name);
    return all;
}

std::vector<console::UserFacts> user_facts(World& world) {
    const pool::Hub& hub = world.hub();
    const auto config = hub.config();
    std::set<std::string> names;
    for (const auto& [name, secret] : hub.access()->users) names.insert(name);
    for (const auto& [name, record] : hub.users) names.insert(name);
    for (const auto& [name, entry] : config->users) names.insert(name);
    std::vector<console::UserFacts> all;
    for (const std::string& name : names) {
        console::UserFacts facts;
        facts.name = name;
        const auto entry = config->users.find(name);
        const config::UserEntry user = entry == config->users.end() ? config::UserEntry{} : entry->second;
        if (user.pool_size) facts.pool_size = number(*user.pool_size);
        if (user.reserve_pool_size) facts.reserve_pool_size = number(*user.reserve_pool_size);
        facts.mode = user.pool_mode;
        facts.connections_max = number(user.max_user_connections.value_or(config->settings.max_user_connections));
        facts.client_connections_max =
            number(user.max_user_client_connections.value_or(config->settings.max_user_client_connections));
        if (const auto record = hub.users.find(name); record != hub.users.end()) {
            facts.connections = hub.book.servers(record->second->id);
            facts.client_connections = record->second->clients;
        }
        all.push_back(std::move(facts));
    }
    return all;
}

console::ListsFacts lists_facts(World& world) {
    console::ListsFacts lists;
    const pool::Hub& hub = world.hub();
    lists.databases = database_facts(world).size();
    lists.users = user_facts(world).size();
    lists.peers = hub.config()->peers.size();
    lists.pools = hub.pools.size() + 1;
    for (const auto& thread : world.threads()) {
        thread->worker().each_client([&](Client& client) {
            if (client.has_logged_in())
                ++lists.used_clients;
            else
                ++lists.login_clients;
        });
        thread->worker().each_server([&](Server&) { ++lists.used_servers; });
        lists.dns_names += thread->resolver().names().size();
        for (const auto& [name, known] : thread->resolver().names()) lists.dns_pending += known.asking ? 1 : 0;
    }
    return lists;
}

std::vector<console::DnsHostFacts> dns_facts(World& world) {
    std::vector<console::DnsHostFacts> all;
    for (const auto& thread : world.threads())
        for (const auto& [name, known] : thread->resolver().names()) {
            console::DnsHostFacts facts;
            facts.name = name;
            const auto left = std::chrono::duration_cast<std::chrono::seconds>(known.known_until - thread->now());
            facts.ttl_seconds = number(left.count());
            for (const std::string& address : known.addresses)
                facts.addresses += (facts.addresses.empty() ? "" : ",") + address;
            all.push_back(std::move(facts));
        }
    return all;
}

std::map<std::string, console::Counters> counters(World& world) {
    std::map<std::string, console::Counters> all;
    std::map<std::uint32_t, std::string> names;
    for (const auto& [key, record] : world.hub().pools)
        names[static_cast<std::uint32_t>(record->id)] = record->database->name;
    for (const auto& [name, record] : world.hub().databases)
        if (!record->removed) all[name];
    for (const auto& thread : world.threads()) {
        for (const auto& [pool, stats] : thread->worker().all_stats()) count(all[names[pool]], stats);
        count(all[console_database], thread->worker().console_stats());
    }
    return all;
}

std::vector<console::StatsFacts> stats_facts(World& world) {
    std::vector<console::StatsFacts> all;
    for (const auto& [name, totals] : counters(world))
        all.push_back({.database = name, .totals = totals, .averages = world.averages_of(name)});
    return all;
}

namespace {

/// Of every database that has clients, all reasons. Nobody is pinned where we are like PgBouncer.
std::vector<console::PinFacts> pin_facts(World& world) {
    if (world.hub().config()->settings.pgbouncer_compat) return {};
    std::map<std::string, std::array<std::uint64_t, pool::pin_reason_count>> counts;
    for (const auto& thread : world.threads())
        thread->worker().each_client([&](Client& client) {
            if (client.database() == nullptr) return;
            auto& of_database = counts[client.database()->name];
            for (std::size_t i = 0; i < of_database.size(); ++i)
                if (client.pins().has(static_cast<pool::PinReason>(i))) ++of_database[i];
        });
    std::vector<console::PinFacts> all;
    for (const auto& [database, clients] : counts)
        for (std::size_t i = 0; i < clients.size(); ++i)
            all.push_back({.database = database,
                           .reason = pool::to_string(static_cast<pool::PinReason>(i)),
                           .clients = clients[i]});
    return all;
}

}  // namespace

std::string metrics(World& world) {
    std::map<std::string, pool::Stats::Latencies> latencies;
    std::map<std::uint32_t, std::string> names;
    for (const auto& [key, record] : world.hub().pools)
        names[static_cast<std::uint32_t>(record->id)] = record->database->name;
    for (const auto& thread : world.threads())
        for (const auto& [pool, stats] : thread->worker().all_stats()) {
            if (!stats.latencies) continue;
            pool::Stats::Latencies& all = latencies[names[pool]];
            all.queries.merge(stats.latencies->queries);
            all.transactions.merge(stats.latencies->transactions);
            all.waits.merge(stats.latencies->waits);
        }
    std::vector<console::LatencyFacts> latency_facts;
    for (const auto& [database, each] : latencies)
        latency_facts.push_back(
            {.database = database, .queries = &each.queries, .transactions = &each.transactions, .waits = &each.waits});
    const auto pins = pin_facts(world);
    const auto pools = pool_facts(world);
    const auto stats = stats_facts(world);
    const auto databases = database_facts(world);
    const std::string version = version_line();
    const auto config = world.hub().config();
    return console::metrics_text({.version = version,
                                  .pools = pools,
                                  .stats = stats,
                                  .databases = databases,
                                  .lists = lists_facts(world),
                                  .client_connections_max = number(config->settings.max_client_conn),
                                  .user_connections_max = number(config->settings.max_user_connections),
                                  .latencies = latency_facts,
                                  .pins = pins});
}

console::Table show(World& world, const console::Command& command) {
    using console::Kind;
    switch (command.kind) {
        case Kind::show_pools:
            return console::pools_table(pool_facts(world));
        case Kind::show_clients:
            return console::clients_table(client_facts(world), command.own_columns);
        case Kind::show_servers:
            return console::servers_table(server_facts(world), command.own_columns);
        case Kind::show_sockets:
        case Kind::show_active_sockets: {
            std::vector<SocketFacts> all = client_facts(world);
            for (SocketFacts& facts : server_facts(world)) all.push_back(std::move(facts));
            if (command.kind == Kind::show_active_sockets)
                std::erase_if(all, [](const SocketFacts& facts) { return facts.link.empty(); });
            return console::sockets_table(all);
        }
        case Kind::show_config:
            return console::config_table(config::show_pooler_settings(world.hub().config()->settings));
        case Kind::show_databases:
            return console::databases_table(database_facts(world));
        case Kind::show_users:
            return console::users_table(user_facts(world));
        case Kind::show_lists:
            return console::lists_table(lists_facts(world));
        case Kind::show_dns_hosts:
            return console::dns_hosts_table(dns_facts(world));
        case Kind::show_dns_zones:
            return console::dns_zones_table({});
        case Kind::show_mem:
            return console::mem_table({});
        case Kind::show_peers: {
            std::vector<console::PeerFacts> peers;
            const auto config = world.hub().config();
            for (const auto& [id, peer] : config->peers)
                peers.push_back({.id = id,
                                 .host = peer.host,
                                 .port = number(peer.port),
                                 .pool_size = number(peer.pool_size.value_or(config->settings.default_pool_size))});
            return console::peers_table(peers);
        }
        case Kind::show_peer_pools:
            return console::peer_pools_table({});
        case Kind::show_state: {
            using State = console::StateFacts::State;
            return console::state_table({world.is_suspended() ? State::suspended
                                         : world.hub().paused ? State::paused
                                                              : State::active});
        }
        case Kind::show_stats:
            return console::stats_table(stats_facts(world));
        case Kind::show_stats_totals:
            return console::stats_totals_table(stats_facts(world));
        case Kind::show_stats_averages:
            return console::stats_averages_table(stats_facts(world));
        case Kind::show_totals: {
            console::Counters totals, averages;
            for (const console::StatsFacts& facts : stats_facts(world)) {
                totals = totals + facts.totals;
                averages = averages + facts.averages;
            }
            return console::totals_table(totals, averages);
        }
        case Kind::show_version:
            return console::version_table(version_line());
        default:
            return console::parameter_table(command);
    }
}

}  // namespace pgkeel::proxy
