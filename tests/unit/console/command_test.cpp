#include "console/command.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pgkeel::console {
namespace {

using Commands = std::vector<Command>;

Commands parsed(std::string_view sql) {
    auto commands = parse(sql);
    EXPECT_TRUE(commands) << sql << ": " << (commands ? "" : commands.error().line());
    return commands ? *commands : Commands{};
}

Error refused(std::string_view sql) {
    auto commands = parse(sql);
    EXPECT_FALSE(commands) << sql;
    return commands ? Error{} : commands.error();
}

const std::vector<std::pair<std::string, Kind>> tables{
    {"active_sockets", Kind::show_active_sockets},
    {"clients", Kind::show_clients},
    {"config", Kind::show_config},
    {"databases", Kind::show_databases},
    {"dns_hosts", Kind::show_dns_hosts},
    {"dns_zones", Kind::show_dns_zones},
    {"help", Kind::show_help},
    {"lists", Kind::show_lists},
    {"mem", Kind::show_mem},
    {"peer_pools", Kind::show_peer_pools},
    {"peers", Kind::show_peers},
    {"pools", Kind::show_pools},
    {"servers", Kind::show_servers},
    {"sockets", Kind::show_sockets},
    {"state", Kind::show_state},
    {"stats", Kind::show_stats},
    {"stats_averages", Kind::show_stats_averages},
    {"stats_totals", Kind::show_stats_totals},
    {"totals", Kind::show_totals},
    {"users", Kind::show_users},
    {"version", Kind::show_version},
};

TEST(command, shows_every_table_in_any_case) {
    for (const auto& [name, kind] : tables) {
        std::string upper = name;
        for (char& c : upper) c = static_cast<char>(std::toupper(c));
        const Commands expected{Command{.kind = kind}};
        for (const std::string& sql : {"SHOW " + name, "show " + upper + ";", "Show\t\n" + name + " ; ",
                                       "select " + name, "SHOW \"" + name + "\"", "/* a /* b */ c */ show --\n" + name})
            EXPECT_EQ(parsed(sql), expected) << sql;
    }
}

TEST(command, shows_what_drivers_ask_of_a_session) {
    const std::vector<std::pair<std::string, std::string>> values{{"client_encoding", "UTF-8"},
                                                                  {"default_transaction_isolation", "read committed"},
                                                                  {"standard_conforming_strings", "on"},
                                                                  {"datestyle", "ISO"},
                                                                  {"timezone", "GMT"}};
    for (const auto& [name, value] : values)
        EXPECT_EQ(parsed("show " + name), (Commands{{.kind = Kind::show_parameter, .argument = name, .value = value}}));
    EXPECT_EQ(parsed("SHOW TimeZone").front().argument, "timezone");
    EXPECT_EQ(parsed("SET DateStyle TO 'ISO'").front().kind, Kind::set_parameter);
    EXPECT_EQ(parsed("SET extra_float_digits = 3").front().kind, Kind::set_parameter);
}

TEST(command, sets_a_value_quoted_or_not) {
    const auto set = [](std::string key, std::string value) {
        return Commands{{.kind = Kind::set, .argument = std::move(key), .value = std::move(value)}};
    };
    EXPECT_EQ(parsed("set pool_mode=session"), set("pool_mode", "session"));
    EXPECT_EQ(parsed("SET Pool_Mode TO \"session\";"), set("pool_mode", "session"));
    EXPECT_EQ(parsed("SET server_check_query = ''"), set("server_check_query", ""));
    EXPECT_EQ(parsed("SET server_check_query = 'select ''a'';'"), set("server_check_query", "select 'a';"));
    EXPECT_EQ(parsed("SET server_idle_timeout = 1.5"), set("server_idle_timeout", "1.5"));
    EXPECT_EQ(parsed("SET peer_id = -1"), set("peer_id", "-1"));
    for (const char* bad : {"SET", "SET a", "SET a =", "SET a b", "SET a = b c", "SET 'a' = b", "SET a == b", "SET = b",
                            "SET \"\" = b", "SET a = ,", "SET a, b = c"})
        EXPECT_EQ(refused(bad).text, "invalid command '" + std::string(bad) + "', use SHOW HELP;");
}

TEST(command, takes_a_database_where_it_may) {
    const std::vector<std::pair<std::string, Kind>> optional{{"pause", Kind::pause},
                                                             {"resume", Kind::resume},
                                                             {"reconnect", Kind::reconnect},
                                                             {"kill", Kind::kill},
                                                             {"wait_close", Kind::wait_close}};
    for (const auto& [name, kind] : optional) {
        EXPECT_EQ(parsed(name), (Commands{{.kind = kind}}));
        EXPECT_EQ(parsed(name + " App_db"), (Commands{{.kind = kind, .argument = "App_db"}}));
        EXPECT_EQ(parsed(name + " \"a \"\"b\"\" c\";"), (Commands{{.kind = kind, .argument = "a \"b\" c"}}));
        EXPECT_EQ(parsed(name + " 'it''s'"), (Commands{{.kind = kind, .argument = "it's"}}));
        EXPECT_EQ(refused(name + " a b").text, "invalid command '" + name + " a b', use SHOW HELP;");
        EXPECT_EQ(refused(name + " \"\"").text, "bad arguments");
    }
    for (const auto& [name, kind] :
         std::vector<std::pair<std::string, Kind>>{{"disable", Kind::disable}, {"enable", Kind::enable}}) {
        EXPECT_EQ(parsed(name + " my-db"), (Commands{{.kind = kind, .argument = "my-db"}}));
        EXPECT_EQ(refused(name).text, "a database is required");
        EXPECT_EQ(refused(name + " ''").text, "bad arguments");
    }
}

TEST(command, reload_suspend_and_shutdown_take_what_they_know) {
    EXPECT_EQ(parsed("RELOAD;"), (Commands{{.kind = Kind::reload}}));
    EXPECT_EQ(parsed("suspend"), (Commands{{.kind = Kind::suspend}}));
    EXPECT_EQ(parsed("shutdown"), (Commands{{.kind = Kind::shutdown}}));
    EXPECT_EQ(parsed("SHUTDOWN wait_for_servers"), (Commands{{.kind = Kind::shutdown_wait_for_servers}}));
    EXPECT_EQ(parsed("shutdown WAIT_FOR_CLIENTS;"), (Commands{{.kind = Kind::shutdown_wait_for_clients}}));
    for (const char* bad : {"reload x", "suspend x", "shutdown now", "shutdown wait_for_servers x"})
        EXPECT_EQ(refused(bad).text, "invalid command '" + std::string(bad) + "', use SHOW HELP;");
}

TEST(command, kills_a_client_by_its_number_only) {
    EXPECT_EQ(parsed("KILL_CLIENT 42"), (Commands{{.kind = Kind::kill_client, .client_id = 42}}));
    EXPECT_EQ(parsed("kill_client '18446744073709551615'").front().client_id, 18446744073709551615U);
    for (const char* bad : {"kill_client", "kill_client x", "kill_client 1x", "kill_client -1",
                            "kill_client 18446744073709551616", "kill_client ''"})
        EXPECT_EQ(refused(bad).text, "invalid client pointer supplied") << bad;
}

TEST(command, several_stand_in_one_query_and_all_are_read_before_any_runs) {
    EXPECT_EQ(parsed("show pools; ;; PAUSE a;resume a"), (Commands{{.kind = Kind::show_pools},
                                                                   {.kind = Kind::pause, .argument = "a"},
                                                                   {.kind = Kind::resume, .argument = "a"}}));
    EXPECT_EQ(refused("KILL a; nonsense").text, "invalid command 'KILL a; nonsense', use SHOW HELP;");
    for (const char* empty : {"", ";", " ;; ", "-- only a comment", "/* one */"}) EXPECT_TRUE(parsed(empty).empty());
}

TEST(command, says_what_is_no_command) {
    for (const char* bad : {"show", "show pools pools", "show 'pools'", "show nothing", "select 1", "select *", "begin",
                            "pools", "'show' pools", "= show", "show pools,", "show \"pools", "/* show pools",
                            "pause 'a", "show fd", "kill *", "select 1+1"})
        EXPECT_EQ(refused(bad).text, "invalid command '" + std::string(bad) + "', use SHOW HELP;");
    EXPECT_EQ(refused("show pool").hint, "is SHOW pools meant?");
    EXPECT_EQ(refused("relod").hint, "is reload meant?");
    EXPECT_TRUE(refused("show fds").text.starts_with("SHOW FDS is not supported"));
    EXPECT_TRUE(refused("pause $1").text.contains("no parameters"));
}

TEST(command, limits_what_one_query_may_cost) {
    std::string many;
    for (std::size_t i = 0; i < commands_max; ++i) many += "show help;";
    EXPECT_EQ(parsed(many).size(), commands_max);
    EXPECT_TRUE(refused(many + "show help").text.contains("more than 100 commands"));
    EXPECT_TRUE(refused(std::string(query_bytes_max + 1, ' ')).text.contains("65537 bytes"));
    EXPECT_LT(refused(std::string(query_bytes_max, 'x')).text.size(), 1000U);
}

TEST(command, stats_users_may_look_and_nothing_else) {
    std::size_t looked = 0;
    for (std::size_t i = 0; i < kinds; ++i) {
        const auto kind = static_cast<Kind>(i);
        const bool looks = tag({.kind = kind}) == "SHOW" || kind == Kind::set_parameter;
        looked += looks;
        EXPECT_EQ(permit(kind, Access::stats).has_value(), looks) << i;
        EXPECT_TRUE(permit(kind, Access::admin));
        EXPECT_FALSE(permit(kind, Access::none));
        if (!looks) EXPECT_EQ(permit(kind, Access::stats).error().text, "admin access needed");
    }
    EXPECT_EQ(looked, 23U);
    // A kind that nobody thought of.
    EXPECT_EQ(access_needed(static_cast<Kind>(kinds)), Access::admin);
}

TEST(command, access_comes_from_the_lists_or_from_our_own_socket) {
    config::PoolerSettings settings;
    settings.admin_users = {"root", "dba"};
    settings.stats_users = {"watcher", "dba"};
    EXPECT_EQ(access_of(settings, "dba", false), Access::admin);
    EXPECT_EQ(access_of(settings, "watcher", false), Access::stats);
    EXPECT_EQ(access_of(settings, "pgbouncer", false), Access::none);
    EXPECT_EQ(access_of(settings, "pgbouncer", true), Access::admin);
    EXPECT_EQ(access_of(settings, "stranger", true), Access::none);
    EXPECT_EQ(access_of(config::PoolerSettings(), "", false), Access::none);
}

TEST(command, tags_are_those_of_pgbouncer) {
    EXPECT_EQ(tag(parsed("show pools").front()), "SHOW");
    EXPECT_EQ(tag(parsed("pause a").front()), "PAUSE");
    EXPECT_EQ(tag(parsed("kill_client 1").front()), "KILL_CLIENT");
    EXPECT_EQ(tag(parsed("shutdown wait_for_clients").front()), "SHUTDOWN");
    EXPECT_EQ(tag(parsed("set pool_mode = 'session'").front()), "SET pool_mode=session");
    EXPECT_EQ(tag(parsed("set timezone = 'UTC'").front()), "SET");
}

}  // namespace
}  // namespace pgkeel::console
