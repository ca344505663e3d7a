#include "console/metrics.hpp"

#include "console/metric_writer.hpp"

#include <fmt/format.h>

#include <array>

namespace pgkeel::console {
namespace {

void write_pools(MetricWriter& out, std::span<const PoolFacts> pools) {
    struct Metric {
        const char* name;
        const char* help;
        std::uint64_t PoolFacts::* value;
    };
    static constexpr std::array metrics{
        Metric{"pgbouncer_pools_client_active_connections", "Clients linked to a server, or idle.",
               &PoolFacts::clients_active},
        Metric{"pgbouncer_pools_client_active_cancel_connections", "Cancel requests that were forwarded.",
               &PoolFacts::cancels_active},
        Metric{"pgbouncer_pools_client_waiting_connections", "Clients that wait for a server.",
               &PoolFacts::clients_waiting},
        Metric{"pgbouncer_pools_client_waiting_cancel_connections", "Cancel requests that were not forwarded yet.",
               &PoolFacts::cancels_waiting},
        Metric{"pgbouncer_pools_server_active_connections", "Servers linked to a client.", &PoolFacts::servers_active},
        Metric{"pgbouncer_pools_server_active_cancel_connections", "Server connections that carry a cancel request.",
               &PoolFacts::servers_canceling},
        Metric{"pgbouncer_pools_server_being_canceled_connections",
               "Servers kept from being idle by cancel requests under way.", &PoolFacts::servers_being_canceled},
        Metric{"pgbouncer_pools_server_idle_connections", "Servers ready for a client.", &PoolFacts::servers_idle},
        Metric{"pgbouncer_pools_server_used_connections", "Idle servers that must be checked before use.",
               &PoolFacts::servers_used},
        Metric{"pgbouncer_pools_server_testing_connections", "Servers that are being reset or checked.",
               &PoolFacts::servers_tested},
        Metric{"pgbouncer_pools_server_login_connections", "Servers that are logging in.", &PoolFacts::servers_login},
    };
    for (const Metric& metric : metrics) {
        out.head(metric.name, "gauge", metric.help);
        for (const PoolFacts& pool : pools)
            out.sample(metric.name, {{"database", pool.database}, {"user", pool.user}}, pool.*metric.value);
    }
    constexpr const char* longest = "pgbouncer_pools_client_maxwait_seconds";
    out.head(longest, "gauge", "How long the first client in the queue has waited, in whole seconds.");
    for (const PoolFacts& pool : pools)
        out.sample(longest, {{"database", pool.database}, {"user", pool.user}},
                   static_cast<std::uint64_t>(std::max<std::int64_t>(pool.longest_wait.count(), 0)) / 1'000'000);
}

void write_stats(MetricWriter& out, std::span<const StatsFacts> databases) {
    struct Metric {
        const char* name;
        const char* help;
        std::uint64_t Counters::* value;
        bool is_time = false;  ///< in µs
    };
    static constexpr std::array metrics{
        Metric{"pgbouncer_stats_totals_queries_pooled_total", "Queries.", &Counters::queries},
        Metric{"pgbouncer_stats_totals_queries_duration_seconds_total", "Time that servers took for queries.",
               &Counters::query_time_us, true},
        Metric{"pgbouncer_stats_totals_received_bytes_total", "Bytes received from clients.",
               &Counters::bytes_received},
        Metric{"pgbouncer_stats_totals_sent_bytes_total", "Bytes sent to clients.", &Counters::bytes_sent},
        Metric{"pgbouncer_stats_totals_client_wait_seconds_total", "Time that clients waited for a server.",
               &Counters::wait_time_us, true},
        Metric{"pgbouncer_stats_totals_sql_transactions_pooled_total", "Transactions.", &Counters::transactions},
        Metric{"pgbouncer_stats_totals_server_in_transaction_seconds_total",
               "Time that servers were in a transaction, idle or not.", &Counters::transaction_time_us, true},
        Metric{"pgbouncer_stats_totals_client_parses_total", "Parse messages from clients.", &Counters::client_parses},
        Metric{"pgbouncer_stats_totals_server_parses_total", "Parse messages to servers.", &Counters::server_parses},
        Metric{"pgbouncer_stats_totals_binds_total", "Bind messages from clients.", &Counters::binds},
        Metric{"pgkeel_proxy_server_assignments_total", "How often a client got a server.",
               &Counters::server_assignments},
        Metric{"pgkeel_proxy_client_logins_total", "Clients that logged in.", &Counters::client_logins},
    };
    for (const Metric& metric : metrics) {
        out.head(metric.name, "counter", metric.help);
        for (const StatsFacts& stats : databases) {
            if (metric.is_time)
                out.seconds(metric.name, {{"database", stats.database}}, stats.totals.*metric.value);
            else
                out.sample(metric.name, {{"database", stats.database}}, stats.totals.*metric.value);
        }
    }
}

void write_databases(MetricWriter& out, std::span<const DatabaseFacts> databases) {
    struct Metric {
        const char* name;
        const char* help;
        std::uint64_t (*value)(const DatabaseFacts&);
    };
    static constexpr std::array metrics{
        Metric{"pgbouncer_databases_pool_size", "Servers that a pool of the database may have.",
               [](const DatabaseFacts& d) { return d.pool_size; }},
        Metric{"pgbouncer_databases_reserve_pool", "Servers that a pool may have more when clients wait too long.",
               [](const DatabaseFacts& d) { return d.reserve_pool_size; }},
        Metric{"pgbouncer_databases_max_connections", "Servers that all pools of the database may have.",
               [](const DatabaseFacts& d) { return d.connections_max; }},
        Metric{"pgbouncer_databases_current_connections", "Servers of the database.",
               [](const DatabaseFacts& d) { return d.connections; }},
        Metric{"pgbouncer_databases_paused", "1 while the database is paused.",
               [](const DatabaseFacts& d) { return std::uint64_t{d.paused}; }},
        Metric{"pgbouncer_databases_disabled", "1 while the database is disabled.",
               [](const DatabaseFacts& d) { return std::uint64_t{d.disabled}; }},
    };
    for (const Metric& metric : metrics) {
        out.head(metric.name, "gauge", metric.help);
        for (const DatabaseFacts& database : databases) {
            const std::string port = std::to_string(database.port);
            out.sample(metric.name,
                       {{"database", database.database},
                        {"force_user", database.forced_user},
                        {"host", database.host},
                        {"name", database.name},
                        {"pool_mode", database.mode ? config::to_string(*database.mode) : ""},
                        {"port", port}},
                       metric.value(database));
        }
    }
}

void write_lists(MetricWriter& out, const ListsFacts& lists) {
    out.gauge("pgbouncer_databases", "Databases.", lists.databases);
    out.gauge("pgbouncer_users", "Users.", lists.users);
    out.gauge("pgbouncer_pools", "Pools.", lists.pools);
    out.gauge("pgbouncer_free_clients", "Clients that memory is kept ready for.", lists.free_clients);
    out.gauge("pgbouncer_used_clients", "Clients.", lists.used_clients);
    out.gauge("pgbouncer_login_clients", "Clients that are logging in.", lists.login_clients);
    out.gauge("pgbouncer_free_servers", "Servers that memory is kept ready for.", lists.free_servers);
    out.gauge("pgbouncer_used_servers", "Servers.", lists.used_servers);
    out.gauge("pgbouncer_cached_dns_names", "Host names whose addresses are known.", lists.dns_names);
    out.gauge("pgbouncer_cached_dns_zones", "Zones of those names.", lists.dns_zones);
    out.gauge("pgbouncer_in_flight_dns_queries", "Host names that are being looked up.", lists.dns_queries);
}

void write_pins(MetricWriter& out, std::span<const PinFacts> pins) {
    constexpr const char* name = "pgkeel_proxy_pinned_clients";
    if (pins.empty()) return;
    out.head(name, "gauge", "Clients that keep their server between transactions; one may have several reasons.");
    for (const PinFacts& facts : pins)
        out.sample(name, {{"database", facts.database}, {"reason", facts.reason}}, facts.clients);
}

/// Upper ends of the buckets that Prometheus sees.
constexpr std::array<std::uint64_t, 20> bounds_us{
    100,     250,     500,       1'000,     2'500,     5'000,      10'000,     25'000,     50'000,      100'000,
    250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000, 300'000'000, 900'000'000};

void write_latency(MetricWriter& out, const std::string& name, const char* help,
                   std::span<const LatencyFacts> databases, const Histogram* LatencyFacts::* which) {
    out.head(name, "histogram", help);
    for (const LatencyFacts& facts : databases) {
        const Histogram* histogram = facts.*which;
        if (histogram == nullptr) continue;
        for (const std::uint64_t bound : bounds_us)
            out.sample(name + "_bucket", {{"database", facts.database}, {"le", seconds_text(bound)}},
                       histogram->count_up_to(bound));
        out.sample(name + "_bucket", {{"database", facts.database}, {"le", "+Inf"}}, histogram->count());
        out.seconds(name + "_sum", {{"database", facts.database}}, histogram->sum_us());
        out.sample(name + "_count", {{"database", facts.database}}, histogram->count());
    }
}

}  // namespace

std::string metrics_text(const MetricsFacts& facts) {
    std::string text;
    MetricWriter out(text);
    out.gauge("pgbouncer_up", "1: the pooler answers.", 1);
    out.head("pgbouncer_version_info", "gauge", "The version of the pooler, as a label.");
    out.sample("pgbouncer_version_info", {{"version", facts.version}}, 1);
    out.gauge("pgbouncer_config_max_client_connections", "The setting max_client_conn.", facts.client_connections_max);
    out.gauge("pgbouncer_config_max_user_connections", "The setting max_user_connections.", facts.user_connections_max);
    write_lists(out, facts.lists);
    write_databases(out, facts.databases);
    write_pools(out, facts.pools);
    write_stats(out, facts.stats);
    write_pins(out, facts.pins);
    write_latency(out, "pgkeel_proxy_query_duration_seconds", "How long queries took.", facts.latencies,
                  &LatencyFacts::queries);
    write_latency(out, "pgkeel_proxy_transaction_duration_seconds", "How long transactions took.", facts.latencies,
                  &LatencyFacts::transactions);
    write_latency(out, "pgkeel_proxy_client_wait_duration_seconds", "How long clients waited for a server.",
                  facts.latencies, &LatencyFacts::waits);
    return text;
}

}  // namespace pgkeel::console
