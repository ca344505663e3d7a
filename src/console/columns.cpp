#include "console/table.hpp"

#include <initializer_list>

namespace pgkeel::console {
namespace {

constexpr auto t = Type::text;
constexpr auto i = Type::int4;
constexpr auto q = Type::int8;
constexpr auto n = Type::numeric;

std::vector<Column> numerics(std::initializer_list<const char*> names) {
    std::vector<Column> columns{{"database", t}};
    for (const char* name : names) columns.push_back({name, n});
    return columns;
}

std::vector<Column> socket_columns(bool buffers) {
    std::vector<Column> columns{
        {"type", t},         {"user", t},       {"database", t},   {"replication", t},      {"state", t},
        {"addr", t},         {"port", i},       {"local_addr", t}, {"local_port", i},       {"connect_time", t},
        {"request_time", t}, {"wait", i},       {"wait_us", i},    {"close_needed", i},     {"ptr", t},
        {"link", t},         {"remote_pid", i}, {"tls", t},        {"application_name", t}, {"prepared_statements", i},
        {"id", i},
    };
    if (buffers)
        for (const char* name :
             {"recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail"})
            columns.push_back({name, i});
    return columns;
}

}  // namespace

std::vector<Column> columns_of(const Command& command) {
    switch (command.kind) {
        case Kind::show_pools:
            return {{"database", t},
                    {"user", t},
                    {"cl_active", i},
                    {"cl_waiting", i},
                    {"cl_active_cancel_req", i},
                    {"cl_waiting_cancel_req", i},
                    {"sv_active", i},
                    {"sv_active_cancel", i},
                    {"sv_being_canceled", i},
                    {"sv_idle", i},
                    {"sv_used", i},
                    {"sv_tested", i},
                    {"sv_login", i},
                    {"maxwait", i},
                    {"maxwait_us", i},
                    {"pool_mode", t},
                    {"load_balance_hosts", t}};
        case Kind::show_stats:
            return numerics({"total_server_assignment_count",
                             "total_xact_count",
                             "total_query_count",
                             "total_received",
                             "total_sent",
                             "total_xact_time",
                             "total_query_time",
                             "total_wait_time",
                             "total_client_parse_count",
                             "total_server_parse_count",
                             "total_bind_count",
                             "total_client_login_count",
                             "avg_server_assignment_count",
                             "avg_xact_count",
                             "avg_query_count",
                             "avg_recv",
                             "avg_sent",
                             "avg_xact_time",
                             "avg_query_time",
                             "avg_wait_time",
                             "avg_client_parse_count",
                             "avg_server_parse_count",
                             "avg_bind_count",
                             "avg_client_login_count"});
        case Kind::show_stats_totals:
            return numerics({"server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent",
                             "xact_time", "query_time", "wait_time", "client_parse_count", "server_parse_count",
                             "bind_count", "client_login_count"});
        case Kind::show_stats_averages:
            return numerics({"server_assignment_count", "xact_count", "query_count", "bytes_received", "bytes_sent",
                             "xact_time", "query_time", "wait_time", "avg_client_parse_count", "avg_server_parse_count",
                             "avg_bind_count", "avg_client_login_count"});
        case Kind::show_totals:
            return {{"name", t}, {"value", n}};
        case Kind::show_clients:
        case Kind::show_servers: {
            auto columns = socket_columns(false);
            if (command.own_columns) columns.push_back({"pin_reason", t});
            return columns;
        }
        case Kind::show_sockets:
        case Kind::show_active_sockets:
            return socket_columns(true);
        case Kind::show_databases:
            return {{"name", t},
                    {"host", t},
                    {"port", i},
                    {"database", t},
                    {"force_user", t},
                    {"pool_size", i},
                    {"min_pool_size", i},
                    {"reserve_pool_size", i},
                    {"server_lifetime", i},
                    {"pool_mode", t},
                    {"load_balance_hosts", t},
                    {"max_connections", i},
                    {"current_connections", i},
                    {"max_client_connections", i},
                    {"current_client_connections", i},
                    {"paused", i},
                    {"disabled", i}};
        case Kind::show_users:
            return {{"name", t},
                    {"pool_size", t},
                    {"reserve_pool_size", t},
                    {"pool_mode", t},
                    {"max_user_connections", i},
                    {"current_connections", i},
                    {"max_user_client_connections", i},
                    {"current_client_connections", i}};
        case Kind::show_lists:
            return {{"list", t}, {"items", i}};
        case Kind::show_config:
            return {{"key", t}, {"value", t}, {"default", t}, {"changeable", t}};
        case Kind::show_version:
            return {{"version", t}};
        case Kind::show_state:
            return {{"key", t}, {"value", t}};
        case Kind::show_peers:
            return {{"peer_id", i}, {"host", t}, {"port", i}, {"pool_size", i}};
        case Kind::show_peer_pools:
            return {{"peer_id", i},
                    {"cl_active_cancel_req", i},
                    {"cl_waiting_cancel_req", i},
                    {"sv_active_cancel", i},
                    {"sv_login", i}};
        case Kind::show_mem:
            return {{"name", t}, {"size", i}, {"used", i}, {"free", i}, {"memtotal", i}};
        case Kind::show_dns_hosts:
            return {{"hostname", t}, {"ttl", q}, {"addrs", t}};
        case Kind::show_dns_zones:
            return {{"zonename", t}, {"serial", q}, {"count", i}};
        case Kind::show_parameter:
            return {{command.argument, t}};
        default:
            return {};
    }
}

}  // namespace pgkeel::console
