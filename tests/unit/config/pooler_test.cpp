#include "config/pooler.hpp"

#include "config/pooler_compare.hpp"
#include "config/pooler_settings.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pgkeel::config {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

Result<std::string> no_file(const std::string& path) {
    return fail(Errc::io_error, "cannot read " + path);
}

PoolerReading ini(const std::string& text) {
    return read_pooler_ini(text, "p.ini", no_file);
}

std::string lines(const std::vector<Problem>& problems) {
    std::string out;
    for (const Problem& problem : problems) out += (out.empty() ? "" : "\n") + problem.line();
    return out;
}

PoolerConfig good(const std::string& text) {
    PoolerReading reading = ini(text);
    EXPECT_EQ(lines(reading.errors), "");
    return std::move(reading.config);
}

constexpr const char* real_life = R"(;; The pooler of the shop, in front of two servers.
[databases]
shop = host=10.0.0.5,10.0.0.6 port=5433 dbname=shop_production pool_size=40 reserve_pool=5 load_balance_hosts=disable
reports = host=10.0.0.6 user=reporter password='s3''cret' pool_mode=session connect_query='SET work_mem = ''64MB'''
"old shop" = host=/var/run/postgresql dbname=shop query_wait_timeout=2.5 server_lifetime=0
; everybody else
* = host=10.0.0.5 auth_user=pgb_auth max_db_connections=50

[users]
batch = pool_mode=session max_user_connections=3 query_timeout=600 pool_size=-1
"web app" = idle_transaction_timeout=30

[peers]
1 = host=/tmp/pooler1
2 = host=10.0.1.2 port=6433 pool_size=2

[pgbouncer]
logfile = /var/log/pgbouncer/pgbouncer.log
pidfile = /var/run/pgbouncer/pgbouncer.pid
listen_addr = 127.0.0.1, ::1
listen_port = 6432
unix_socket_dir = /var/run/postgresql
unix_socket_mode = 0770
peer_id = 1
client_tls_sslmode = require
client_tls_key_file = /etc/pgbouncer/key.pem
client_tls_cert_file = /etc/pgbouncer/cert.pem
client_tls_protocols = tlsv1.2,tlsv1.3
server_tls_sslmode = verify-full
server_tls_ca_file = /etc/ssl/ca.pem
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
auth_user = pgb_auth
auth_query = SELECT usename, passwd FROM pgb.user_lookup($1)
admin_users = postgres, root
stats_users = stats,prometheus
pool_mode = transaction
server_reset_query = DISCARD ALL
ignore_startup_parameters = extra_float_digits, search_path
max_client_conn = 5000
default_pool_size = 30
min_pool_size = 5
reserve_pool_timeout = 1.5
server_idle_timeout = 300
max_prepared_statements = 0
log_connections = 0
tcp_keepalive = 1
tcp_keepidle = 60
)";

TEST(pooler_ini, a_file_from_real_life_is_read_whole) {
    const PoolerConfig config = good(real_life);
    EXPECT_EQ(lines(config.warnings), "");
    const PoolerSettings& s = config.settings;
    EXPECT_EQ(s.max_client_conn, 5000);
    EXPECT_EQ(s.reserve_pool_timeout, std::chrono::milliseconds(1500));
    EXPECT_EQ(s.pool_mode, PoolMode::transaction);
    EXPECT_EQ(s.auth_query, "SELECT usename, passwd FROM pgb.user_lookup($1)");
    EXPECT_EQ(s.admin_users, (std::vector<std::string>{"postgres", "root"}));
    EXPECT_EQ(s.ignore_startup_parameters, (std::vector<std::string>{"extra_float_digits", "search_path"}));
    EXPECT_EQ(s.server_tls_sslmode, TlsMode::verify_full);
    EXPECT_EQ(s.unix_socket_mode, 0770);
    EXPECT_EQ(s.tcp_keepidle, seconds(60));
    EXPECT_TRUE(s.pgbouncer_compat);
    EXPECT_EQ(s.threads, 1);
    EXPECT_FALSE(config.follows_cluster);

    ASSERT_EQ(config.databases.size(), 4U);
    const DatabaseEntry& shop = config.databases.at("shop");
    EXPECT_EQ(shop.hosts, (std::vector<std::string>{"10.0.0.5", "10.0.0.6"}));
    EXPECT_EQ(shop.port, 5433);
    EXPECT_EQ(shop.dbname, "shop_production");
    EXPECT_EQ(shop.pool_size, 40);
    EXPECT_EQ(shop.reserve_pool_size, 5);
    EXPECT_EQ(shop.load_balance_hosts, LoadBalance::disable);
    EXPECT_EQ(shop.pool_mode, std::nullopt);
    const DatabaseEntry& reports = config.databases.at("reports");
    EXPECT_EQ(reports.password.reveal(), "s3'cret");
    EXPECT_EQ(reports.connect_query, "SET work_mem = '64MB'");
    EXPECT_EQ(reports.pool_mode, PoolMode::session);
    EXPECT_EQ(config.databases.at("old shop").server_lifetime, Duration(0));
    EXPECT_EQ(config.databases.at("*").auth_user, "pgb_auth");

    EXPECT_EQ(config.users.at("batch").query_timeout, seconds(600));
    EXPECT_EQ(config.users.at("batch").pool_size, std::nullopt);
    EXPECT_EQ(config.users.at("web app").idle_transaction_timeout, seconds(30));
    EXPECT_EQ(config.peers.at(2).port, 6433);
    EXPECT_EQ(config.peers.at(1).port, 6432);

    ASSERT_EQ(config.listeners.size(), 2U);
    EXPECT_EQ(config.listeners[1],
              (Listener{.host = "::1", .port = 6432, .route = Route::configured, .pool_mode = std::nullopt}));
    EXPECT_EQ(config.place("auth_type"), "p.ini:31");
    EXPECT_EQ(config.place("databases.shop"), "p.ini:3");
}

TEST(pooler_ini, every_setting_reads_back_what_show_config_prints) {
    const PoolerConfig config = good(real_life);
    PoolerSettings again;
    for (const ShownSetting& shown : show_pooler_settings(config.settings))
        if (!shown.secret) {
            EXPECT_TRUE(set_pooler_setting(again, shown.key, shown.value.value_or(""))) << shown.key;
        }
    EXPECT_EQ(again, config.settings);
}

struct Bad {
    const char* text;
    const char* errors;
};
class PoolerIni : public testing::TestWithParam<Bad> {};

TEST_P(PoolerIni, names_line_and_next_step) {
    EXPECT_EQ(lines(ini(GetParam().text).errors), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(
    bad, PoolerIni,
    testing::Values(
        Bad{"[pgbouncer]\npool_sise = 3", "p.ini:2: 'pool_sise' is not a known key (is 'pool_mode' meant?)"},
        Bad{"[pgbuoncer]\n", "p.ini:1: [pgbuoncer] is not a known section (is [pgbouncer] meant?)"},
        Bad{"[pgbouncer]\n\nmax_client_conn = lots\npool_mode = x",
            "p.ini:3: max_client_conn: 'lots' is no whole number\n"
            "p.ini:4: pool_mode: 'x' is none of the words allowed (write one of: session, transaction, statement)"},
        Bad{"[databases]\na = hots=h", "p.ini:2: database a: 'hots' is not a known key (is 'host' meant?)"},
        Bad{"[databases]\na = host=h port=0", "p.ini:2: database a: port: '0' is out of range (it may be 1 to 65535)"},
        Bad{"[databases]\na = user=u password=my hunter2=x",
            "p.ini:2: database a: has a word behind the password that is no known key (a password with blanks stands "
            "in single quotes: password='…')"},
        Bad{"[databases]\na = user=u password=my hunter2",
            "p.ini:2: a of [databases]: pair 3 has no = (write key=value, and a value with blanks as key='a value', a "
            "quote in it twice)"},
        Bad{"[databases]\npgbouncer = host=h",
            "p.ini:2: database pgbouncer: the name is the admin console's (give it another name)"},
        Bad{"[users]\nu = pool_mode=x",
            "p.ini:2: user u: pool_mode: 'x' is none of the words allowed (write one of: session, transaction, "
            "statement)"},
        Bad{"[peers]\nx = host=h", "p.ini:2: peer x: the name is no peer_id (it is a number from 1 to 16383)"},
        Bad{"[peers]\n1 = port=1", "p.ini:2: peer 1: has no host (add host=)"},
        Bad{"[pgbouncer]\nunix_socket_dir =\n",
            "p.ini: nothing listens: there are no addresses and no Unix socket (set listen_addr or unix_socket_dir; "
            "in YAML proxy.listeners)"},
        Bad{"[pgbouncer]\nauth_type = cert",
            "p.ini:2: auth_type is cert and client_tls_sslmode is disable, so that no certificate is checked (set "
            "client_tls_sslmode to verify-full or verify-ca)"},
        Bad{"[pgbouncer]\nclient_tls_sslmode = verify-ca\nclient_tls_cert_file=c\nclient_tls_key_file=k",
            "p.ini:2: client_tls_sslmode is verify-ca and there is no client_tls_ca_file (who signs the clients' "
            "certificates? set client_tls_ca_file)"},
        Bad{"[pgbouncer]\nclient_tls_protocols = tlsv1.2, sslv3",
            "p.ini:2: client_tls_protocols: 'sslv3' is no version of TLS (write secure, all, or some of tlsv1.2, "
            "tlsv1.3)"},
        Bad{"[pgbouncer]\n%include more.ini", "p.ini:2: cannot include: cannot read more.ini"}));

TEST(pooler_ini, what_pgbouncer_tolerates_is_a_warning) {
    const PoolerConfig config = good(
        "[databases]\na = password=x\na = host=h\n[pgbouncer]\nauth_type = hba\n"
        "auth_type = hba\nauth_query = SELECT 1, 2\n[peers]\n3 = host=h\n");
    EXPECT_EQ(lines(config.warnings),
              "p.ini:2: database a: has a password and no user, so that it is not used (whose is it? add user=)\n"
              "p.ini:3: databases.a comes again; p.ini:2 has no effect\n"
              "p.ini:6: auth_type is set again; p.ini:5 has no effect\n"
              "p.ini:6: auth_type is hba and there is no auth_hba_file (set auth_hba_file)\n"
              "p.ini:7: auth_query is set and no auth_user runs it (set auth_user)\n"
              "p.ini: there are peers and this process has no peer_id (set peer_id, another one in each)");
    EXPECT_EQ(config.databases.at("a").hosts, std::vector<std::string>{"h"});
}

class PoolerFile : public testing::Test {
  protected:
    PoolerFile() {
        char name[] = "/tmp/pgkeel-pooler-XXXXXX";
        directory_ = mkdtemp(name);
    }
    ~PoolerFile() override { fs::remove_all(directory_); }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(directory_ / name) << text;
        fs::permissions(directory_ / name, fs::perms::owner_read | fs::perms::owner_write);
        return directory_ / name;
    }
    PoolerReading yaml(const std::string& text) const {
        auto reading = read_pooler_file(write("p.yml", text), {});
        EXPECT_TRUE(reading) << reading.error().line();
        return reading ? std::move(*reading) : PoolerReading{};
    }
    std::string errors(const std::string& text) const {
        std::string all = lines(yaml(text).errors);
        const std::string prefix = directory_.string() + "/";
        for (auto at = all.find(prefix); at != std::string::npos; at = all.find(prefix)) all.erase(at, prefix.size());
        return all;
    }
    fs::path directory_;
};

constexpr const char* native = R"(scope: shop
namespace: /db
etcd3:
  hosts: [e1:2379, e2:2379]
proxy:
  listeners:
    - {listen: "0.0.0.0:5000", route: primary, pool_mode: session}
    - {listen: "[::1]:6432", route: split, pool_mode: transaction}
    - listen: ":5002"
  auth_type: scram-sha-256
  auth_file: /etc/pgkeel/users.txt
  admin_users: [postgres, root]
  query_wait_timeout: 0.5
  server_lifetime: 10min
  log_stats: no
  unix_socket_mode: 0700
  databases:
    app: {dbname: shop, pool_size: 10, host: [h1, h2]}
    "other app": "host=h3 user=u password='a b'"
    bare:
  users:
    batch: {query_timeout: 600, pool_mode: session}
)";

TEST_F(PoolerFile, yaml_fills_the_same_struct) {
    const PoolerReading reading = yaml(native);
    EXPECT_EQ(lines(reading.errors), "");
    const PoolerConfig& config = reading.config;
    EXPECT_EQ(lines(config.warnings), "");
    EXPECT_TRUE(config.follows_cluster);
    EXPECT_EQ(config.scope, "shop");
    EXPECT_EQ(config.namespace_, "/db");
    EXPECT_EQ(config.etcd.endpoints, (std::vector<std::string>{"http://e1:2379", "http://e2:2379"}));
    ASSERT_EQ(config.listeners.size(), 3U);
    EXPECT_EQ(config.listeners[0],
              (Listener{.host = "0.0.0.0", .port = 5000, .route = Route::primary, .pool_mode = PoolMode::session}));
    EXPECT_EQ(config.listeners[1],
              (Listener{.host = "::1", .port = 6432, .route = Route::split, .pool_mode = PoolMode::transaction}));
    EXPECT_EQ(config.listeners[2],
              (Listener{.host = "*", .port = 5002, .route = Route::primary, .pool_mode = std::nullopt}));
    EXPECT_EQ(config.settings.auth_type, AuthType::scram_sha_256);
    EXPECT_EQ(config.settings.admin_users, (std::vector<std::string>{"postgres", "root"}));
    EXPECT_EQ(config.settings.query_wait_timeout, std::chrono::milliseconds(500));
    EXPECT_EQ(config.settings.server_lifetime, seconds(600));
    EXPECT_FALSE(config.settings.log_stats);
    EXPECT_EQ(config.settings.unix_socket_mode, 0700);
    EXPECT_FALSE(config.settings.pgbouncer_compat);
    EXPECT_EQ(config.databases.at("app").hosts, (std::vector<std::string>{"h1", "h2"}));
    EXPECT_EQ(config.databases.at("other app").password.reveal(), "a b");
    EXPECT_TRUE(config.databases.contains("bare"));
    EXPECT_FALSE(config.databases.contains("*"));
    EXPECT_EQ(config.users.at("batch").query_timeout, seconds(600));
}

TEST_F(PoolerFile, yaml_without_databases_serves_all_of_the_cluster) {
    const PoolerReading reading =
        yaml("scope: s\netcd3: {host: 'e:1'}\nproxy: {listeners: [{listen: '*:1', route: any}]}\n");
    EXPECT_EQ(lines(reading.errors), "");
    EXPECT_TRUE(reading.config.databases.contains("*"));
}

TEST_F(PoolerFile, yaml_problems_have_line_and_column) {
    EXPECT_EQ(errors("scope: s\netcd3: {host: 'e:1'}\nproxy:\n  listners: []\n  pool_mode: sesion\n"
                     "  listen_port: 1\n  admin_users: {a: b}\n  auth_file: true\n"),
              "p.yml:4:3: proxy.listners is not a known key (is 'listeners' meant?)\n"
              "p.yml:5:3: proxy.pool_mode: 'sesion' is none of the words allowed (write one of: session, transaction, "
              "statement)\n"
              "p.yml:6:3: proxy.listen_port is for a pgbouncer.ini (write proxy.listeners)\n"
              "p.yml:7:3: proxy.admin_users is a map, not one value\n"
              "p.yml:8:3: proxy.auth_file is a boolean, not text (put it in quotes)");
    EXPECT_EQ(errors("scope: s\nproxy:\n  listeners:\n    - {listen: 'x:y', rout: any}\n    - {route: configured}\n"),
              "p.yml: etcd3 is missing: where is etcd? (add section etcd3 with hosts, or set PATRONI_ETCD3_HOSTS)\n"
              "p.yml:4:8: proxy.listeners[0].listen is no host:port (for example 0.0.0.0:5000)\n"
              "p.yml:4:23: proxy.listeners[0].rout is not a known key (is 'route' meant?)\n"
              "p.yml:5:8: proxy.listeners[1].route: 'configured' is for a pgbouncer.ini (write one of: primary, "
              "standby, any, split)\n"
              "p.yml:5:8: proxy.listeners[1] has no listen (add listen: \"0.0.0.0:5000\")");
    EXPECT_EQ(errors("proxy:\n  listeners: [{listen: 'a:1'}, {listen: 'a:1'}]\n  databases:\n    app: {dbname: x}\n"),
              "p.yml:2:3: a:1 is listened on twice (give one of them another port)\n"
              "p.yml:4:5: database app has no host and no cluster is followed (add host, or scope and etcd3)");
    EXPECT_EQ(errors("scope: s\netcd3: {host: 'e:1'}\n"),
              "p.yml: there is no section proxy (add proxy: with listeners)");
}

TEST_F(PoolerFile, yaml_says_how_rest_apis_are_called) {
    const std::string cluster = "scope: s\netcd3: {host: 'e:1'}\nproxy: {listeners: [{listen: '*:1'}]}\n";
    const PoolerReading own =
        yaml(cluster +
             "ctl: {insecure: on, cacert: /ca, certfile: /crt, keyfile: /key, keyfile_password: p}\n"
             "restapi: {listen: '*:8008', cafile: /agent-ca, certfile: /agent-crt, keyfile: /agent-key}\n");
    EXPECT_EQ(lines(own.errors), "");
    EXPECT_TRUE(own.config.rest_insecure);
    EXPECT_EQ(own.config.rest_tls.ca_file, "/ca");
    EXPECT_EQ(own.config.rest_tls.certificate_file, "/crt");
    EXPECT_EQ(own.config.rest_tls.key_file, "/key");
    EXPECT_EQ(own.config.rest_tls.key_password, "p");
    const PoolerReading agents =
        yaml(cluster +
             "ctl: {keyfile: /key}\n"
             "restapi: {listen: '*:8008', cafile: /agent-ca, certfile: /agent-crt, keyfile: /agent-key}\n");
    EXPECT_FALSE(agents.config.rest_insecure);
    EXPECT_EQ(agents.config.rest_tls.ca_file, "/agent-ca");
    EXPECT_EQ(agents.config.rest_tls.certificate_file, "/agent-crt");
    EXPECT_EQ(agents.config.rest_tls.key_file, "/agent-key") << "a key alone belongs to no certificate";
    EXPECT_EQ(yaml(cluster).config.rest_tls.certificate_file, "");
    EXPECT_EQ(errors(cluster + "ctl: {insecure: perhaps}\n").substr(0, 23), "p.yml:4:7: ctl.insecure");
    const std::string warning = lines(yaml(cluster + "ctl: {cacrt: /ca}\n").config.warnings);
    EXPECT_TRUE(warning.ends_with("p.yml:4:7: ctl.cacrt is not a known key (is 'cacert' meant?)")) << warning;
}

TEST_F(PoolerFile, yaml_refuses_what_pgbouncer_tolerates) {
    EXPECT_EQ(errors("scope: s\netcd3: {host: 'e:1'}\nproxy: {auth_type: hba, listeners: [{listen: 'a:1'}]}\n"),
              "p.yml:3:9: auth_type is hba and there is no auth_hba_file (set auth_hba_file)");
}

TEST_F(PoolerFile, an_ini_is_loaded_with_its_includes) {
    const std::string more = write("more.ini", "[databases]\na = host=h\n");
    const auto config = load_pooler_config(write("p.ini", "%include " + more + "\n[pgbouncer]\nverbose = 1\n"), {});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->place("databases.a"), more + ":2");
    EXPECT_EQ(config->settings.conffile, (directory_ / "p.ini").string());
}

TEST_F(PoolerFile, a_file_with_passwords_that_everybody_can_read_is_a_warning) {
    const std::string path = write("p.ini", "[databases]\na = host=h user=u password=p\n");
    EXPECT_EQ(lines(read_pooler_file(path, {})->config.warnings), "");
    fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
    EXPECT_NE(lines(read_pooler_file(path, {})->config.warnings).find("every user of this machine"), std::string::npos);
}

TEST_F(PoolerFile, yaml_names_an_unknown_key_behind_a_password) {
    EXPECT_EQ(errors("proxy:\n  databases:\n    a: {host: h, user: u, password: hunter2, pool_sizes: 3}\n"),
              "p.yml:3:5: database a: 'pool_sizes' is not a known key (is 'pool_size' meant?)");
}

TEST_F(PoolerFile, every_problem_is_in_the_error) {
    const auto config = load_pooler_config(write("p.ini", "[pgbouncer]\nverbose = x\nlog_stats = y\n"), {});
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, Errc::invalid_input);
    EXPECT_NE(config.error().text.find("p.ini:2: verbose"), std::string::npos) << config.error().text;
    EXPECT_NE(config.error().text.find("p.ini:3: log_stats"), std::string::npos) << config.error().text;
    const auto missing = load_pooler_config((directory_ / "no.ini").string(), {});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::io_error);
}

TEST(pooler_compare, nothing_changed_is_nothing_to_do) {
    EXPECT_TRUE(compare(good(real_life), good(real_life)).empty());
}

TEST(pooler_compare, another_server_or_login_closes_servers_and_a_limit_does_not) {
    const auto database = [](const std::string& pairs) { return good("[databases]\na = " + pairs); };
    const PoolerConfig before = database("host=h user=u password=p");
    for (const char* other : {"host=i user=u password=p", "host=h port=1 user=u password=p", "host=h user=v password=p",
                              "host=h user=u password=q", "host=h dbname=d user=u password=p",
                              "host=h user=u password=p connect_query='SELECT 1'"}) {
        const PoolerChanges changes = compare(before, database(other));
        EXPECT_EQ(changes.databases_to_reconnect, std::vector<std::string>{"a"}) << other;
        EXPECT_TRUE(changes.databases_adjusted.empty()) << other;
    }
    const PoolerChanges changes = compare(before, database("host=h user=u password=p pool_size=3"));
    EXPECT_TRUE(changes.databases_to_reconnect.empty());
    EXPECT_EQ(changes.databases_adjusted, std::vector<std::string>{"a"});
    EXPECT_FALSE(changes.needs_restart());
}

TEST(pooler_compare, names_what_came_and_went) {
    const PoolerChanges changes =
        compare(good("[databases]\na=\nb=host=h\nd=\n[users]\nu=pool_size=1\n[peers]\n1=host=h"),
                good("[databases]\nb=host=h\nc=\nd=\n[users]\nv=\n[peers]\n1=host=i"));
    EXPECT_EQ(changes.databases_added, std::vector<std::string>{"c"});
    EXPECT_EQ(changes.databases_removed, std::vector<std::string>{"a"});
    EXPECT_EQ(changes.users, (std::vector<std::string>{"u", "v"}));
    EXPECT_EQ(changes.peers, std::vector<std::int64_t>{1});
    EXPECT_TRUE(changes.databases_to_reconnect.empty());
}

TEST(pooler_compare, new_tls_to_the_servers_closes_them_all) {
    const PoolerChanges changes = compare(good("[databases]\na=host=h\n[pgbouncer]\n"),
                                          good("[databases]\na=host=h\n[pgbouncer]\nserver_tls_sslmode=require"));
    EXPECT_TRUE(changes.server_tls);
    EXPECT_FALSE(changes.client_tls);
    EXPECT_EQ(changes.databases_to_reconnect, std::vector<std::string>{"a"});
}

TEST(pooler_compare, what_needs_a_restart_stays_as_it_runs) {
    const PoolerConfig running = good("[pgbouncer]\nlisten_addr = 127.0.0.1\n");
    const PoolerConfig fresh = good("[pgbouncer]\nlisten_addr = 127.0.0.2\nmax_client_conn = 7\n");
    const PoolerChanges changes = compare(running, fresh);
    EXPECT_EQ(changes.settings,
              (std::vector<PoolerChanges::Setting>{{.name = "listen_addr", .needs_restart = true},
                                                   {.name = "max_client_conn", .needs_restart = false}}));
    EXPECT_TRUE(changes.needs_restart());
    const PoolerConfig taken = reloaded(running, fresh);
    EXPECT_EQ(taken.settings.max_client_conn, 7);
    EXPECT_EQ(taken.listeners, running.listeners);
    EXPECT_EQ(taken.settings.listen_addr, running.settings.listen_addr);
    EXPECT_TRUE(compare(taken, fresh).listeners_need_restart);
}

TEST(pooler_compare, other_addresses_of_etcd_are_taken_over_and_another_cluster_is_not) {
    PoolerConfig running;
    running.follows_cluster = true;
    running.scope = "demo";
    running.etcd.endpoints = {"http://e1:2379"};
    PoolerConfig fresh = running;
    fresh.etcd.endpoints = {"http://e2:2379"};
    const PoolerChanges changes = compare(running, fresh);
    EXPECT_TRUE(changes.etcd);
    EXPECT_FALSE(changes.empty());
    EXPECT_FALSE(changes.needs_restart());
    EXPECT_EQ(reloaded(running, fresh).etcd.endpoints, fresh.etcd.endpoints);

    fresh.scope = "other";
    EXPECT_TRUE(compare(running, fresh).cluster_needs_restart);
    EXPECT_EQ(reloaded(running, fresh).etcd.endpoints, running.etcd.endpoints);
    EXPECT_EQ(reloaded(running, fresh).scope, "demo");
    PoolerConfig none;
    EXPECT_EQ(reloaded(running, none).etcd.endpoints, running.etcd.endpoints);
}

}  // namespace
}  // namespace pgkeel::config
