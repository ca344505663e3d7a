#include "config/pooler_settings.hpp"

#include "config/pooler_declared.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pgkeel::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const ShownSetting& row(const std::vector<ShownSetting>& rows, const std::string& key) {
    return *std::ranges::find(rows, key, &ShownSetting::key);
}

std::string problem(std::string_view name, std::string_view value) {
    PoolerSettings settings;
    const auto set = set_pooler_setting(settings, name, value);
    EXPECT_EQ(settings, PoolerSettings()) << "a wrong value changed something";
    return set ? "no error" : set.error().line();
}

TEST(pooler_settings, have_the_defaults_of_pgbouncer) {
    const PoolerSettings settings;
    EXPECT_EQ(settings.max_client_conn, 100);
    EXPECT_EQ(settings.default_pool_size, 20);
    EXPECT_EQ(settings.query_wait_timeout, seconds(120));
    EXPECT_EQ(settings.server_lifetime, seconds(3600));
    EXPECT_EQ(settings.pool_mode, PoolMode::session);
    EXPECT_EQ(settings.auth_type, AuthType::md5);
    EXPECT_EQ(settings.client_tls_sslmode, TlsMode::disable);
    EXPECT_EQ(settings.server_tls_sslmode, TlsMode::prefer);
    EXPECT_EQ(settings.unix_socket_mode, 0777);
    EXPECT_EQ(settings.track_extra_parameters, std::vector<std::string>{"IntervalStyle"});
    EXPECT_EQ(settings.max_packet_size, 2147483647);
    EXPECT_TRUE(settings.tcp_keepalive);
}

TEST(pooler_settings, are_declared_in_order_and_shown_as_their_defaults) {
    const auto table = pooler_settings();
    EXPECT_TRUE(std::ranges::is_sorted(table, {}, &PoolerSetting::name));
    EXPECT_EQ(std::ranges::adjacent_find(table, {}, &PoolerSetting::name), table.end());
    for (const ShownSetting& shown : show_pooler_settings(PoolerSettings())) {
        EXPECT_EQ(shown.value, shown.default_value) << shown.key;
        EXPECT_FALSE(shown.help.empty()) << shown.key;
    }
}

TEST(pooler_settings, no_two_share_a_member) {
    // A change of one is a change of one.
    for (const PoolerSetting& setting : pooler_settings()) {
        PoolerSettings changed;
        for (const char* value : {"7", "1", "0", "require", "hba", "statement", "pgbouncer", "epoll", "8kB"})
            if (setting.read(value, changed) && changed != PoolerSettings()) break;
        EXPECT_EQ(std::ranges::count_if(pooler_settings(),
                                        [&](const auto& other) { return !other.equal(changed, PoolerSettings()); }),
                  1)
            << setting.name;
    }
}

TEST(pooler_settings, those_that_need_a_restart_are_pgbouncers) {
    std::vector<std::string> fixed;
    for (const ShownSetting& shown : show_pooler_settings(PoolerSettings()))
        if (!shown.changeable) fixed.push_back(shown.key);
    const std::vector<std::string> expected{"disable_pqexec",
                                            "io_engine",
                                            "job_name",
                                            "listen_addr",
                                            "listen_backlog",
                                            "listen_port",
                                            "metrics_listen",
                                            "pidfile",
                                            "pkt_buf",
                                            "resolv_conf",
                                            "so_reuseport",
                                            "threads",
                                            "track_extra_parameters",
                                            "unix_socket_dir",
                                            "unix_socket_group",
                                            "unix_socket_mode",
                                            "user"};
    EXPECT_EQ(fixed, expected);
}

TEST(pooler_settings, read_numbers_as_c_writes_them) {
    PoolerSettings settings;
    EXPECT_TRUE(set_pooler_setting(settings, "max_client_conn", "0x10"));
    EXPECT_EQ(settings.max_client_conn, 16);
    EXPECT_TRUE(set_pooler_setting(settings, "unix_socket_mode", "0700"));
    EXPECT_EQ(settings.unix_socket_mode, 0700);
    EXPECT_EQ(row(show_pooler_settings(settings), "unix_socket_mode").value, "0700");
    EXPECT_TRUE(set_pooler_setting(settings, "pkt_buf", "16kB"));
    EXPECT_EQ(settings.pkt_buf, 16384);
    EXPECT_TRUE(set_pooler_setting(settings, "log_stats", "0"));
    EXPECT_FALSE(settings.log_stats);
}

TEST(pooler_settings, name_the_io_engine) {
    PoolerSettings settings;
    EXPECT_EQ(settings.io_engine, IoEngine::automatic);
    EXPECT_EQ(row(show_pooler_settings(settings), "io_engine").value, "auto");
    EXPECT_TRUE(set_pooler_setting(settings, "io_engine", "io_uring"));
    EXPECT_EQ(settings.io_engine, IoEngine::io_uring);
    EXPECT_EQ(row(show_pooler_settings(settings), "io_engine").value, "io_uring");
    EXPECT_EQ(*change_pooler_setting(settings, "io_engine", "epoll"), SetOutcome::needs_restart);
    EXPECT_NE(problem("io_engine", "kqueue").find("auto, epoll, io_uring"), std::string::npos);
}

TEST(pooler_settings, read_times_with_fractions_and_units) {
    PoolerSettings settings;
    EXPECT_TRUE(set_pooler_setting(settings, "query_timeout", "0.25"));
    EXPECT_EQ(settings.query_timeout, milliseconds(250));
    EXPECT_EQ(row(show_pooler_settings(settings), "query_timeout").value, "0.25");
    EXPECT_TRUE(set_pooler_setting(settings, "query_timeout", "5min"));
    EXPECT_EQ(settings.query_timeout, seconds(300));
    EXPECT_EQ(row(show_pooler_settings(settings), "query_timeout").value, "300");
    EXPECT_TRUE(set_pooler_setting(settings, "query_timeout", "010"));
    EXPECT_EQ(settings.query_timeout, seconds(10)) << "a time has no octal form";
    EXPECT_TRUE(set_pooler_setting(settings, "tcp_user_timeout", "1500"));
    EXPECT_EQ(settings.tcp_user_timeout, milliseconds(1500));
}

TEST(pooler_settings, refuse_what_is_not_allowed_and_say_what_is) {
    EXPECT_EQ(problem("max_client_conn", "many"), "max_client_conn: 'many' is no whole number");
    EXPECT_EQ(problem("max_client_conn", "1.5"), "max_client_conn: '1.5' is no whole number");
    EXPECT_EQ(problem("max_client_conn", ""), "max_client_conn: '' is no whole number");
    EXPECT_EQ(problem("listen_port", "70000"), "listen_port: '70000' is out of range (it may be 0 to 65535)");
    EXPECT_EQ(problem("query_timeout", "-1"), "query_timeout: '-1' is out of range (it may be 0 to 2147483647 s)");
    EXPECT_EQ(problem("query_timeout", "nan"),
              "query_timeout: 'nan' is no time (write it in seconds, or with a unit: us, ms, s, min, h, d)");
    EXPECT_EQ(problem("pool_mode", "sesion"),
              "pool_mode: 'sesion' is none of the words allowed (write one of: session, transaction, statement)");
    EXPECT_EQ(problem("log_stats", "maybe"), "log_stats: 'maybe' is neither yes nor no (write 1 or 0)");
    EXPECT_EQ(problem("defualt_pool_size", "1"),
              "'defualt_pool_size' is not a known setting (is 'default_pool_size' meant?)");
    EXPECT_EQ(problem("auth_file", std::string_view("a\0b", 3)), "auth_file: the value has a zero byte in it");
}

TEST(pooler_settings, a_running_process_changes_what_it_can) {
    PoolerSettings settings;
    EXPECT_EQ(change_pooler_setting(settings, "pool_mode", "TRANSACTION"), SetOutcome::changed);
    EXPECT_EQ(settings.pool_mode, PoolMode::transaction);
    EXPECT_EQ(change_pooler_setting(settings, "pool_mode", "transaction"), SetOutcome::unchanged);
    EXPECT_EQ(change_pooler_setting(settings, "listen_port", "1"), SetOutcome::needs_restart);
    EXPECT_EQ(settings.listen_port, 6432);
    EXPECT_FALSE(change_pooler_setting(settings, "listen_port", "one"));
}

TEST(pooler_settings, a_secret_is_shown_as_stars) {
    PoolerSettings settings;
    EXPECT_TRUE(set_pooler_setting(settings, "auth_ldap_options", "ldapbindpasswd=hunter2"));
    EXPECT_EQ(row(show_pooler_settings(settings), "auth_ldap_options").value, "********");
    EXPECT_EQ(settings.auth_ldap_options.reveal(), "ldapbindpasswd=hunter2");
}

TEST(pooler_settings, an_older_name_still_counts) {
    PoolerSettings settings;
    EXPECT_TRUE(set_pooler_setting(settings, "service_name", "west"));
    EXPECT_EQ(settings.job_name, "west");
}

TEST(pooler_secret, moves_and_copies_as_a_value) {
    Secret one("hunter2");
    Secret two = one;
    EXPECT_EQ(one, two);
    const Secret three = std::move(two);
    EXPECT_EQ(three.reveal(), "hunter2");
    one = Secret();
    EXPECT_TRUE(one.empty());
}

}  // namespace
}  // namespace pgkeel::config
