#include "console/metrics.hpp"

#include "console/metric_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace pgkeel::console {
namespace {

using namespace std::chrono_literals;

/// The text as Prometheus reads it: a head before the samples of each metric, no metric in two places and no series
/// twice. Values by series.
struct Read {
    std::map<std::string, std::string> types;
    std::map<std::string, std::string> values;
};

/// The metric that a sample belongs to.
std::string metric_of(const std::string& name, const std::map<std::string, std::string>& types) {
    for (const std::string suffix : {"_bucket", "_sum", "_count"})
        if (name.ends_with(suffix))
            if (const auto base = types.find(name.substr(0, name.size() - suffix.size()));
                base != types.end() && base->second == "histogram")
                return base->first;
    return name;
}

Read read(const std::string& text) {
    Read result;
    std::istringstream lines(text);
    std::string current;
    EXPECT_TRUE(text.ends_with('\n'));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("# HELP ")) {
            current = line.substr(7, line.find(' ', 7) - 7);
            EXPECT_FALSE(result.types.contains(current)) << "a second time: " << line;
        } else if (line.starts_with("# TYPE ")) {
            EXPECT_TRUE(line.starts_with("# TYPE " + current + " ")) << line;
            result.types[current] = line.substr(8 + current.size());
        } else {
            const std::size_t space = line.rfind(' ');
            const std::string series = line.substr(0, space);
            EXPECT_EQ(metric_of(series.substr(0, series.find('{')), result.types), current) << line;
            double number = 0;
            const auto parsed = std::from_chars(line.data() + space + 1, line.data() + line.size(), number);
            EXPECT_TRUE(parsed.ec == std::errc() && parsed.ptr == line.data() + line.size()) << line;
            EXPECT_TRUE(result.values.emplace(series, line.substr(space + 1)).second) << "twice: " << line;
        }
    }
    return result;
}

struct Example {
    std::array<PoolFacts, 2> pools;
    std::array<StatsFacts, 1> stats;
    std::array<DatabaseFacts, 2> databases;
    std::array<LatencyFacts, 2> latencies;
    Histogram queries, waits;

    Read text() {
        pools[0].database = pools[1].database = stats[0].database = latencies[0].database = "app";
        pools[0].user = "web";
        pools[0].clients_active = 3;
        pools[0].servers_tested = 4;
        pools[0].longest_wait = 12s + 900ms;
        pools[1].user = "job";
        stats[0].totals = {.queries = 11,
                           .bytes_received = 12,
                           .transaction_time_us = 1'500'000,
                           .query_time_us = 2,
                           .wait_time_us = 3'000'000,
                           .client_logins = 5};
        databases[0] = {.name = "app",
                        .host = "10.0.0.5",
                        .port = 5433,
                        .database = "app_db",
                        .forced_user = "",
                        .pool_size = 20,
                        .reserve_pool_size = 6,
                        .mode = config::PoolMode::session,
                        .load_balance = {},
                        .paused = true};
        databases[1] = {
            .name = "b", .host = "", .database = "b", .forced_user = "owner", .mode = {}, .load_balance = {}};
        for (const std::uint64_t time : {50U, 100U, 101U, 2'000U, 5'000'000U}) queries.add(time);
        latencies[0].queries = &queries;
        latencies[1] = {.database = "idle", .queries = nullptr, .transactions = nullptr, .waits = &waits};
        return read(metrics_text({.version = "pgkeel 0.1.0",
                                  .pools = pools,
                                  .stats = stats,
                                  .databases = databases,
                                  .lists = {.databases = 2,
                                            .users = 3,
                                            .pools = 4,
                                            .free_clients = 5,
                                            .used_clients = 6,
                                            .login_clients = 7,
                                            .free_servers = 8,
                                            .used_servers = 9,
                                            .dns_names = 10,
                                            .dns_zones = 11,
                                            .dns_queries = 12},
                                  .client_connections_max = 100,
                                  .user_connections_max = 0,
                                  .latencies = latencies}));
    }
};

TEST(metrics, have_the_names_and_types_of_pgbouncer_exporter) {
    const std::map<std::string, std::string> exporter{
        {"pgbouncer_up", "gauge"},
        {"pgbouncer_version_info", "gauge"},
        {"pgbouncer_config_max_client_connections", "gauge"},
        {"pgbouncer_config_max_user_connections", "gauge"},
        {"pgbouncer_databases", "gauge"},
        {"pgbouncer_users", "gauge"},
        {"pgbouncer_pools", "gauge"},
        {"pgbouncer_free_clients", "gauge"},
        {"pgbouncer_used_clients", "gauge"},
        {"pgbouncer_login_clients", "gauge"},
        {"pgbouncer_free_servers", "gauge"},
        {"pgbouncer_used_servers", "gauge"},
        {"pgbouncer_cached_dns_names", "gauge"},
        {"pgbouncer_cached_dns_zones", "gauge"},
        {"pgbouncer_in_flight_dns_queries", "gauge"},
        {"pgbouncer_databases_pool_size", "gauge"},
        {"pgbouncer_databases_reserve_pool", "gauge"},
        {"pgbouncer_databases_max_connections", "gauge"},
        {"pgbouncer_databases_current_connections", "gauge"},
        {"pgbouncer_databases_paused", "gauge"},
        {"pgbouncer_databases_disabled", "gauge"},
        {"pgbouncer_pools_client_active_connections", "gauge"},
        {"pgbouncer_pools_client_active_cancel_connections", "gauge"},
        {"pgbouncer_pools_client_waiting_connections", "gauge"},
        {"pgbouncer_pools_client_waiting_cancel_connections", "gauge"},
        {"pgbouncer_pools_server_active_connections", "gauge"},
        {"pgbouncer_pools_server_active_cancel_connections", "gauge"},
        {"pgbouncer_pools_server_being_canceled_connections", "gauge"},
        {"pgbouncer_pools_server_idle_connections", "gauge"},
        {"pgbouncer_pools_server_used_connections", "gauge"},
        {"pgbouncer_pools_server_testing_connections", "gauge"},
        {"pgbouncer_pools_server_login_connections", "gauge"},
        {"pgbouncer_pools_client_maxwait_seconds", "gauge"},
        {"pgbouncer_stats_totals_queries_pooled_total", "counter"},
        {"pgbouncer_stats_totals_queries_duration_seconds_total", "counter"},
        {"pgbouncer_stats_totals_received_bytes_total", "counter"},
        {"pgbouncer_stats_totals_sent_bytes_total", "counter"},
        {"pgbouncer_stats_totals_client_wait_seconds_total", "counter"},
        {"pgbouncer_stats_totals_sql_transactions_pooled_total", "counter"},
        {"pgbouncer_stats_totals_server_in_transaction_seconds_total", "counter"},
        {"pgbouncer_stats_totals_client_parses_total", "counter"},
        {"pgbouncer_stats_totals_server_parses_total", "counter"},
        {"pgbouncer_stats_totals_binds_total", "counter"},
    };
    std::map<std::string, std::string> types;
    for (const auto& [name, type] : Example().text().types)
        if (name.starts_with("pgbouncer_")) types.emplace(name, type);
    EXPECT_EQ(types, exporter);
}

TEST(metrics, tell_the_facts_in_base_units) {
    const Read text = Example().text();
    const std::map<std::string, std::string> expected{
        {"pgbouncer_up", "1"},
        {"pgbouncer_version_info{version=\"pgkeel 0.1.0\"}", "1"},
        {"pgbouncer_config_max_client_connections", "100"},
        {"pgbouncer_used_clients", "6"},
        {"pgbouncer_cached_dns_names", "10"},
        {"pgbouncer_pools_client_active_connections{database=\"app\",user=\"web\"}", "3"},
        {"pgbouncer_pools_client_active_connections{database=\"app\",user=\"job\"}", "0"},
        {"pgbouncer_pools_server_testing_connections{database=\"app\",user=\"web\"}", "4"},
        {"pgbouncer_pools_client_maxwait_seconds{database=\"app\",user=\"web\"}", "12"},
        {"pgbouncer_stats_totals_queries_pooled_total{database=\"app\"}", "11"},
        {"pgbouncer_stats_totals_received_bytes_total{database=\"app\"}", "12"},
        {"pgbouncer_stats_totals_server_in_transaction_seconds_total{database=\"app\"}", "1.5"},
        {"pgbouncer_stats_totals_queries_duration_seconds_total{database=\"app\"}", "0.000002"},
        {"pgbouncer_stats_totals_client_wait_seconds_total{database=\"app\"}", "3"},
        {"pgbouncer_databases_reserve_pool{database=\"app_db\",force_user=\"\",host=\"10.0.0.5\",name=\"app\",pool_"
         "mode="
         "\"session\",port=\"5433\"}",
         "6"},
        {"pgbouncer_databases_paused{database=\"b\",force_user=\"owner\",host=\"\",name=\"b\",pool_mode=\"\",port="
         "\"5432\"}",
         "0"},
        {"pgkeel_proxy_client_logins_total{database=\"app\"}", "5"},
    };
    for (const auto& [series, value] : expected)
        EXPECT_EQ(text.values.contains(series) ? text.values.at(series) : "missing", value) << series;
}

TEST(metrics, latencies_are_histograms_whose_buckets_grow) {
    const Read text = Example().text();
    const std::string name = "pgkeel_proxy_query_duration_seconds";
    EXPECT_EQ(text.types.at(name), "histogram");
    const auto bucket = [&](const std::string& le) {
        return text.values.at(name + "_bucket{database=\"app\",le=\"" + le + "\"}");
    };
    EXPECT_EQ(bucket("0.0001"), "2");
    EXPECT_EQ(bucket("0.00025"), "3");
    EXPECT_EQ(bucket("0.001"), "3");
    EXPECT_EQ(bucket("0.0025"), "4");
    EXPECT_EQ(bucket("2.5"), "4");
    EXPECT_EQ(bucket("10"), "5");
    EXPECT_EQ(bucket("900"), "5");
    EXPECT_EQ(bucket("+Inf"), "5");
    EXPECT_EQ(text.values.at(name + "_sum{database=\"app\"}"), "5.002251");
    EXPECT_EQ(text.values.at(name + "_count{database=\"app\"}"), "5");
    EXPECT_EQ(text.values.at("pgkeel_proxy_client_wait_duration_seconds_count{database=\"idle\"}"), "0");
    EXPECT_FALSE(text.values.contains(name + "_count{database=\"idle\"}"));
}

TEST(metrics, pinned_clients_are_told_by_reason) {
    const std::array pins{PinFacts{.database = "app", .reason = "listen", .clients = 2},
                          PinFacts{.database = "app", .reason = "setting", .clients = 0}};
    const Read text = read(metrics_text(
        {.version = "", .pools = {}, .stats = {}, .databases = {}, .lists = {}, .latencies = {}, .pins = pins}));
    EXPECT_EQ(text.types.at("pgkeel_proxy_pinned_clients"), "gauge");
    EXPECT_EQ(text.values.at("pgkeel_proxy_pinned_clients{database=\"app\",reason=\"listen\"}"), "2");
    EXPECT_EQ(text.values.at("pgkeel_proxy_pinned_clients{database=\"app\",reason=\"setting\"}"), "0");
    EXPECT_FALSE(Example().text().types.contains("pgkeel_proxy_pinned_clients")) << "nobody counts them";
}

TEST(metrics, any_name_becomes_a_label) {
    std::string out;
    MetricWriter(out).sample("m", {{"a", "q\"b\\s\nn"}, {"b", "h\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98"}}, 1);
    EXPECT_EQ(out, "m{a=\"q\\\"b\\\\s\\nn\",b=\"h\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\"} 1\n");
    for (const std::string bad :
         {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\x80"}) {
        out.clear();
        MetricWriter(out).sample("m", {{"a", bad}}, 1);
        EXPECT_TRUE(out.starts_with("m{a=\"\\\\x")) << out;
        for (const char c : out) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << out;
    }
}

TEST(metrics, seconds_lose_nothing) {
    EXPECT_EQ(seconds_text(0), "0");
    EXPECT_EQ(seconds_text(1), "0.000001");
    EXPECT_EQ(seconds_text(2'500'000), "2.5");
    EXPECT_EQ(seconds_text(30'000'000), "30");
    EXPECT_EQ(seconds_text(18'446'744'073'709'551'615U), "18446744073709.551615");
}

}  // namespace
}  // namespace pgkeel::console
