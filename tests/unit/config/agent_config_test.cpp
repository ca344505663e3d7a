#include "config/agent_config.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pgkeel::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* minimal = R"(
scope: batman
name: pg-a
restapi: {listen: '10.0.0.1:8008'}
etcd3: {host: 'e1:2379'}
postgresql:
  listen: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: replicator, password: rep-pass}}
)";

class AgentConfigFile : public testing::Test {
  protected:
    AgentConfigFile() {
        char name[] = "/tmp/pgkeel-config-XXXXXX";
        directory_ = mkdtemp(name);
    }
    ~AgentConfigFile() override { fs::remove_all(directory_); }

    std::string write(const std::string& name, const std::string& text, int mode = 0600) const {
        const fs::path path = directory_ / name;
        std::ofstream(path) << text;
        chmod(path.c_str(), static_cast<mode_t>(mode));
        return path;
    }
    /// The minimal file with `more` behind it, or an error's text without the directory's name.
    Result<AgentConfig> load(const std::string& more, const Environment& environment = {}) const {
        return load_agent_config(write("p.yml", minimal + more), environment);
    }
    std::string problem(const Result<AgentConfig>& config) const {
        if (config) return "no error";
        EXPECT_TRUE(config.error().code == Errc::invalid_input || config.error().code == Errc::io_error);
        std::string text = config.error().line();
        const std::string prefix = directory_.string() + "/";
        for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
            text.erase(at, prefix.size());
        return text;
    }
    std::string warnings(const Result<AgentConfig>& config) const {
        EXPECT_TRUE(config) << config.error().line();
        std::string all;
        if (config)
            for (const std::string& warning : config->warnings) all += warning + "\n";
        const std::string prefix = directory_.string() + "/";
        for (auto at = all.find(prefix); at != std::string::npos; at = all.find(prefix)) all.erase(at, prefix.size());
        return all;
    }

    fs::path directory_;
};

TEST_F(AgentConfigFile, the_smallest_file_has_patronis_defaults) {
    const auto config = load("");
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->scope, "batman");
    EXPECT_EQ(config->name, "pg-a");
    EXPECT_EQ(config->prefix(), "/service/batman/");
    EXPECT_EQ(config->restapi.connect_address, "10.0.0.1:8008");
    EXPECT_EQ(config->restapi.api_url(), "http://10.0.0.1:8008/patroni");
    EXPECT_EQ(config->etcd.endpoints, std::vector<std::string>{"http://e1:2379"});
    EXPECT_EQ(config->postgresql.connect_address, "10.0.0.1:5432");
    EXPECT_EQ(config->postgresql.config_dir, "/data");
    EXPECT_EQ(config->postgresql.program("pg_ctl"), "pg_ctl");
    EXPECT_FALSE(config->has_bootstrap);
    EXPECT_TRUE(config->warnings.empty()) << config->warnings.front();

    // The table of options and the structs tell the same defaults.
    const AgentConfig defaults;
    EXPECT_EQ(config->namespace_, defaults.namespace_);
    EXPECT_EQ(config->restapi.verify_client, defaults.restapi.verify_client);
    EXPECT_EQ(config->restapi.server_tokens, defaults.restapi.server_tokens);
    EXPECT_EQ(config->postgresql.config_base_name, defaults.postgresql.config_base_name);
    EXPECT_EQ(config->postgresql.database, defaults.postgresql.database);
    EXPECT_EQ(config->postgresql.pg_ctl_timeout_seconds, defaults.postgresql.pg_ctl_timeout_seconds);
    EXPECT_EQ(config->watchdog.mode, defaults.watchdog.mode);
    EXPECT_EQ(config->watchdog.device, defaults.watchdog.device);
    EXPECT_EQ(config->watchdog.safety_margin_seconds, defaults.watchdog.safety_margin_seconds);
    EXPECT_EQ(config->watchdog.driver, defaults.watchdog.driver);
    EXPECT_EQ(config->log.format, defaults.log.format);
    EXPECT_EQ(config->log.level, defaults.log.level);
    EXPECT_EQ(config->log.file_count, defaults.log.file_count);
    EXPECT_EQ(config->log.file_size_bytes, defaults.log.file_size_bytes);
    EXPECT_EQ(config->log.file_mode, defaults.log.file_mode);
}

TEST_F(AgentConfigFile, a_whole_file_arrives_in_the_model) {
    const auto config = load_agent_config(write("p.yml", R"(
scope: batman
namespace: /db//x/
name: pg-a
restapi:
  listen: 0.0.0.0:8008
  connect_address: "[fd00::1]:8008"
  certfile: c.pem
  keyfile: k.pem
  cafile: ca.pem
  verify_client: optional
  authentication: {username: u, password: p}
  allowlist: [10.0.0.0/8, host]
  http_extra_headers: {X-Frame-Options: SAMEORIGIN}
etcd3:
  hosts: e1:2379, e2,https://e3:1234
  protocol: https
  username: eu
  password: ep
  cacert: eca.pem
ctl: {insecure: on}
bootstrap:
  dcs: {ttl: 20, postgresql: {parameters: {wal_level: logical}}}
  initdb: [{encoding: UTF8}, data-checksums, {locale: "'C.UTF-8'"}, {auth-host: md5}]
  pg_hba: ['host all all 0.0.0.0/0 md5']
  post_init: psql -w -c "SELECT 1"
postgresql:
  listen: 127.0.0.1, ::1:5433
  connect_address: 10.0.0.1:5433
  data_dir: data/pg
  bin_dir: /usr/lib/postgresql/15/bin
  bin_name: {postgres: postgres.real}
  pgpass: /tmp/pgpass0
  authentication:
    superuser: {username: postgres, password: zalando, sslmode: verify-ca}
    replication: {username: replicator, password: rep-pass}
    rewind: {username: rewind_user, password: rewind_password}
  parameters: {unix_socket_directories: '..'}
  callbacks: {on_role_change: python3 cb.py}
  use_unix_socket: true
  create_replica_methods: [wal_e, basebackup]
  wal_e: {command: restore, no_leader: 1}
  basebackup: [{checkpoint: fast}]
watchdog: {mode: off, safety_margin: -1}
log: {level: DEBUG, dir: /var/log, file_size: 1MB, mode: 0640}
tags: {nofailover: false, clonefrom: true, zone: a}
)"),
                                          {});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->prefix(), "/db/x/batman/");
    EXPECT_EQ(config->restapi.api_url(), "https://[fd00::1]:8008/patroni");
    EXPECT_EQ(config->restapi.allowlist, (std::vector<std::string>{"10.0.0.0/8", "host"}));
    EXPECT_EQ(config->restapi.http_extra_headers.at("X-Frame-Options"), "SAMEORIGIN");
    EXPECT_EQ(config->etcd.endpoints,
              (std::vector<std::string>{"https://e1:2379", "https://e2:2379", "https://e3:1234"}));
    EXPECT_EQ(config->etcd.authentication.password, "ep");
    EXPECT_TRUE(config->ctl.insecure);
    EXPECT_EQ(config->ctl.authentication.username, "u");
    EXPECT_EQ(config->ctl.tls.ca_file, "ca.pem");
    EXPECT_TRUE(config->ctl.tls.certificate_file.empty());
    EXPECT_EQ(json::serialize(config->bootstrap.dcs),
              R"({"ttl":20,"postgresql":{"parameters":{"wal_level":"logical"}}})");
    EXPECT_EQ(config->bootstrap.initdb,
              (std::vector<std::string>{"--encoding=UTF8", "--data-checksums", "--locale=C.UTF-8", "--auth-host=md5"}));
    EXPECT_EQ(config->bootstrap.post_bootstrap, "psql -w -c \"SELECT 1\"");
    EXPECT_EQ(config->postgresql.listen_hosts, (std::vector<std::string>{"127.0.0.1", "::1"}));
    EXPECT_EQ(config->postgresql.listen_port, "5433");
    EXPECT_EQ(config->postgresql.program("postgres"), "/usr/lib/postgresql/15/bin/postgres.real");
    EXPECT_EQ(config->postgresql.superuser.connection.at("sslmode"), "verify-ca");
    EXPECT_EQ(config->postgresql.rewind.username, "rewind_user");
    EXPECT_TRUE(config->postgresql.use_unix_socket);
    EXPECT_TRUE(config->postgresql.section.contains("wal_e"));
    EXPECT_FALSE(config->postgresql.section.contains("authentication"));
    EXPECT_EQ(config->watchdog.mode, "off");
    EXPECT_EQ(config->watchdog.safety_margin_seconds, -1);
    EXPECT_EQ(config->log.level, log::Level::debug);
    EXPECT_EQ(config->log.file_size_bytes, 1UL << 20);
    EXPECT_EQ(config->log.file_mode, 0640);
    EXPECT_EQ(json::serialize(config->published_tags), R"({"clonefrom":true,"zone":"a"})");
    EXPECT_TRUE(config->warnings.empty()) << config->warnings.front();
}

TEST_F(AgentConfigFile, every_missing_key_is_named) {
    const auto config = load_agent_config(write("p.yml", "name: x\n"), {});
    const std::string text = problem(config);
    for (const char* key :
         {"scope is missing", "restapi.listen is missing", "etcd3 is missing", "postgresql.listen is missing",
          "postgresql.data_dir is missing", "postgresql.authentication.replication.username is missing"})
        EXPECT_NE(text.find(key), std::string::npos) << key << " in " << text;
    EXPECT_EQ(text.find("name is missing: name of this node"), std::string::npos);
}

TEST_F(AgentConfigFile, a_misspelt_key_is_a_warning_with_its_place_and_the_nearest_key) {
    const auto config = load("ctl:\n  insecur: true\nwatchdogg: {}\n");
    EXPECT_EQ(warnings(config),
              "p.yml:11:3: ctl.insecur is not a known key (is 'insecure' meant?)\n"
              "p.yml:12:1: watchdogg is not a known key (is 'watchdog' meant?)\n");
}

TEST_F(AgentConfigFile, a_section_for_a_proxy_is_left_to_it) {
    EXPECT_EQ(warnings(load("proxy:\n  listeners: [{listen: '*:1', rout: any}]\n  no_such: 1\n")), "");
}

TEST_F(AgentConfigFile, an_unknown_key_of_ours_is_an_error) {
    EXPECT_EQ(problem(load("pgkeel:\n  colour: red\n")), "p.yml:11:3: pgkeel.colour is not a known key");
}

TEST_F(AgentConfigFile, our_own_section_has_defaults_and_is_checked) {
    EXPECT_TRUE(load("")->dynamic_commands);
    EXPECT_FALSE(load("pgkeel:\n  dynamic_commands: off\n")->dynamic_commands);
    EXPECT_TRUE(problem(load("pgkeel:\n  dynamic_commands: sometimes\n")).contains("pgkeel.dynamic_commands"));
    EXPECT_TRUE(load("")->guardian);
    EXPECT_FALSE(load("pgkeel: {guardian: false}\n")->guardian);
    EXPECT_EQ(load("")->fence_command, "");
    EXPECT_EQ(load("")->fence_timeout_seconds, 30);
    EXPECT_EQ(load("pgkeel: {fence_command: /bin/off, fence_timeout: 5}\n")->fence_command, "/bin/off");
    EXPECT_EQ(load("pgkeel: {fence_command: /bin/off, fence_timeout: 5}\n")->fence_timeout_seconds, 5);
}

TEST_F(AgentConfigFile, lost_wal_is_kept_outside_the_data_directory) {
    EXPECT_EQ(load("")->lost_wal_dir, "");
    EXPECT_EQ(load("")->lost_wal_max_megabytes, 1024);
    EXPECT_FALSE(load("")->lost_wal_required);
    const auto set = load("pgkeel: {lost_wal_dir: /var/lost, lost_wal_max_size: 64, lost_wal_required: true}\n");
    EXPECT_EQ(set->lost_wal_dir, "/var/lost");
    EXPECT_EQ(set->lost_wal_max_megabytes, 64);
    EXPECT_TRUE(set->lost_wal_required);
    const std::string data = load("")->postgresql.data_dir;
    for (const std::string& inside :
         {data, data + "/", data + "/lost", data + "/../" + data.substr(data.rfind('/') + 1)})
        EXPECT_TRUE(problem(load("pgkeel: {lost_wal_dir: " + inside + "}\n")).contains("inside postgresql.data_dir"))
            << inside;
    EXPECT_EQ(load("pgkeel: {lost_wal_dir: " + data + "_lost_wal}\n")->lost_wal_dir, data + "_lost_wal");
    EXPECT_TRUE(problem(load("pgkeel: {lost_wal_dir: lost}\n")).contains("absolute path"));
}

TEST_F(AgentConfigFile, sections_that_the_operator_named_are_known) {
    EXPECT_EQ(warnings(load("x-common: {a: 1}\nbootstrap:\n  method: mine\n  mine: {command: run}\n")), "");
    EXPECT_EQ(problem(load("bootstrap: {method: mine}\n")),
              "p.yml:10:13: bootstrap.method 'mine' has no section (add bootstrap.mine with a command)");
}

TEST_F(AgentConfigFile, security_options_fail_closed) {
    const auto with_restapi = [&](const std::string& keys) {
        std::string text = minimal;
        text.replace(text.find("{listen: '10.0.0.1:8008'}"), 25, "{listen: '10.0.0.1:8008', " + keys + "}");
        return problem(load_agent_config(write("p.yml", text), {}));
    };
    EXPECT_EQ(with_restapi("verify_client: requird"),
              "p.yml:4:36: restapi.verify_client \"requird\" is not one of: none optional required");
    EXPECT_NE(with_restapi("verify_client: required").find("needs restapi.certfile and restapi.cafile"),
              std::string::npos);
    EXPECT_EQ(with_restapi("authentication: {username: u}"), "p.yml:4:36: restapi.authentication has no password");
    EXPECT_EQ(with_restapi("authentication: {password: s3cret}"), "p.yml:4:36: restapi.authentication has no username");
}

TEST_F(AgentConfigFile, no_message_repeats_a_secret) {
    std::string text = minimal;
    text.replace(text.find("{host: 'e1:2379'}"), 17, "{url: 'ftp://u:s3cret@e1', password: [s3cret], usernam: s3cret}");
    text.replace(text.find("rep-pass"), 8, "yes, sslpassword: {s3cret: 1}");
    const auto config = load_agent_config(write("p.yml", text + "ctl: {authentication: {password: [s3cret]}}\n"), {});
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().line().find("s3cret"), std::string::npos) << config.error().line();
    EXPECT_NE(config.error().text.find("etcd3.url is not http(s)://host:port"), std::string::npos)
        << config.error().text;
    EXPECT_NE(config.error().text.find("etcd3.password the value is not text"), std::string::npos)
        << config.error().text;
    EXPECT_NE(config.error().hint.find("put it in quotes"), std::string::npos) << config.error().hint;
}

TEST_F(AgentConfigFile, a_file_with_passwords_that_everybody_can_read_is_a_warning) {
    const auto open = load_agent_config(write("open.yml", minimal, 0644), {});
    EXPECT_EQ(warnings(open),
              "open.yml holds passwords and every user of this machine can read it (run `chmod o-r open.yml`)\n");
    std::string harmless = minimal;
    harmless.replace(harmless.find(", password: rep-pass"), 20, "");
    EXPECT_EQ(warnings(load_agent_config(write("harmless.yml", harmless, 0644), {})), "");
}

TEST_F(AgentConfigFile, a_directory_is_merged_in_name_order) {
    fs::create_directory(directory_ / "d");
    write("d/10-base.yml", minimal);
    write("d/20-more.yaml", "scope: robin\ntags: {a: 1}\n");
    write("d/30-last.yml", "tags: {a: null, b: 2}\n");
    write("d/ignored.txt", "scope: joker\n");
    const auto config = load_agent_config(directory_ / "d", {});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->scope, "robin");
    EXPECT_EQ(json::serialize(config->published_tags), R"({"b":2})");
    write("d/40-wrong.yml", "restapi:\n  verify_client: x\n");
    EXPECT_NE(problem(load_agent_config(directory_ / "d", {})).find("d/40-wrong.yml:2:3: restapi.verify_client"),
              std::string::npos);
}

TEST_F(AgentConfigFile, what_cannot_be_read_is_an_error) {
    EXPECT_EQ(load_agent_config(directory_ / "none.yml", {}).error().code, Errc::io_error);
    fs::create_directory(directory_ / "empty");
    EXPECT_EQ(load_agent_config(directory_ / "empty", {}).error().code, Errc::io_error);
    EXPECT_EQ(problem(load_agent_config(write("p.yml", "- a\n"), {})),
              "p.yml: holds no keys (a configuration is a map of sections)");
    EXPECT_EQ(problem(load_agent_config(write("p.yml", "a: [\n"), {})).substr(0, 6), "p.yml:");
    EXPECT_EQ(load_agent_config("", {}).error().code, Errc::invalid_input);
}

TEST_F(AgentConfigFile, variables_win_over_the_file) {
    const auto config = load("", {{"PATRONI_SCOPE", "robin"},
                                  {"PATRONI_NAME", ""},
                                  {"PATRONI_RESTAPI_USERNAME", "username"},
                                  {"PATRONI_RESTAPI_PASSWORD", "password"},
                                  {"PATRONI_RESTAPI_CERTFILE", "c.pem"},
                                  {"PATRONI_RESTAPI_CAFILE", "ca.pem"},
                                  {"PATRONI_RESTAPI_VERIFY_CLIENT", "required"},
                                  {"PATRONI_RESTAPI_ALLOWLIST", "10.0.0.0/8, host"},
                                  {"PATRONI_RESTAPI_HTTP_EXTRA_HEADERS", "X-A: b, X-C: 1"},
                                  {"PATRONI_CTL_INSECURE", "on"},
                                  {"PATRONI_CTL_CERTFILE", "cc.pem"},
                                  {"PATRONI_ETCD3_HOSTS", "'a:1', b"},
                                  {"PATRONI_ETCD3_PORT", "99"},
                                  {"PATRONI_SUPERUSER_USERNAME", "boss"},
                                  {"PATRONI_SUPERUSER_SSLMODE", "require"},
                                  {"PATRONI_REPLICATION_PASSWORD", "010"},
                                  {"PATRONI_POSTGRESQL_DATA_DIR", "/other"},
                                  {"PATRONI_POSTGRESQL_BIN_PG_CTL", "pg_ctl15"},
                                  {"PATRONI_LOGLEVEL", "ERROR"},
                                  {"PATRONI_LOG_MODE", "0600"},
                                  {"PATRONI_LOG_FORMAT", "%(message)s"},
                                  {"HOME", "/home/x"}});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->scope, "robin");
    EXPECT_EQ(config->name, "pg-a");
    EXPECT_EQ(config->restapi.authentication.username, "username");
    EXPECT_EQ(config->restapi.verify_client, "required");
    EXPECT_EQ(config->restapi.allowlist, (std::vector<std::string>{"10.0.0.0/8", "host"}));
    EXPECT_EQ(config->restapi.http_extra_headers, (std::map<std::string, std::string>{{"X-A", "b"}, {"X-C", "1"}}));
    EXPECT_TRUE(config->ctl.insecure);
    EXPECT_EQ(config->ctl.tls.certificate_file, "cc.pem");
    EXPECT_EQ(config->etcd.endpoints, (std::vector<std::string>{"http://a:1", "http://b:99"}));
    EXPECT_EQ(config->postgresql.superuser.username, "boss");
    EXPECT_EQ(config->postgresql.superuser.connection.at("sslmode"), "require");
    EXPECT_EQ(config->postgresql.replication.password, "010");
    EXPECT_EQ(config->postgresql.data_dir, "/other");
    EXPECT_EQ(config->postgresql.program("pg_ctl"), "pg_ctl15");
    EXPECT_EQ(config->postgresql.pgpass, "/home/x/pgpass");
    EXPECT_EQ(config->log.level, log::Level::error);
    EXPECT_EQ(config->log.file_mode, 0600);
    EXPECT_EQ(config->log.format, "%(message)s");
    EXPECT_TRUE(config->warnings.empty()) << config->warnings.front();
}

TEST_F(AgentConfigFile, a_wrong_variable_is_named) {
    EXPECT_EQ(problem(load("", {{"PATRONI_ETCD3_PROTOCOL", "gopher"}})),
              "environment variable PATRONI_ETCD3_PROTOCOL: etcd3.protocol \"gopher\" is not one of: http https");
    EXPECT_NE(problem(load("", {{"PATRONI_RESTAPI_ALLOWLIST", "[a"}}))
                  .find("environment variable PATRONI_RESTAPI_ALLOWLIST:1:"),
              std::string::npos);
    EXPECT_EQ(warnings(load("", {{"PATRONI_SCOPPE", "x"}, {"PATRONI_KUBERNETES_NAMESPACE", "y"}})),
              "environment variable PATRONI_SCOPPE is not known (is PATRONI_SCOPE meant?)\n");
}

TEST_F(AgentConfigFile, without_a_file_the_environment_is_enough) {
    Environment environment{{"PATRONI_SCOPE", "batman"},
                            {"PATRONI_NAME", "pg-a"},
                            {"PATRONI_RESTAPI_LISTEN", "10.0.0.1:8008"},
                            {"PATRONI_ETCD3_HOST", "localhost:2379"},
                            {"PATRONI_POSTGRESQL_LISTEN", "10.0.0.1:5432"},
                            {"PATRONI_POSTGRESQL_DATA_DIR", "/data"},
                            {"PATRONI_REPLICATION_USERNAME", "replicator"}};
    const auto config = load_agent_config("", environment);
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->etcd.endpoints, std::vector<std::string>{"http://localhost:2379"});

    environment["PATRONI_CONFIGURATION"] = minimal;
    environment["PATRONI_SCOPE"] = "ignored";
    const auto from_text = load_agent_config("", environment);
    ASSERT_TRUE(from_text) << from_text.error().line();
    EXPECT_EQ(from_text->scope, "batman");
}

TEST_F(AgentConfigFile, etcd_is_found_in_every_form) {
    const auto etcd = [&](const std::string& section) {
        std::string text = minimal;
        text.replace(text.find("etcd3: {host: 'e1:2379'}"), 24, section);
        return load_agent_config(write("p.yml", text), {});
    };
    const auto endpoints = [&](const std::string& section) {
        const auto config = etcd(section);
        EXPECT_TRUE(config) << config.error().line();
        return config ? config->etcd.endpoints : std::vector<std::string>{};
    };
    using List = std::vector<std::string>;
    EXPECT_EQ(endpoints("etcd3: {host: e1}"), List{"http://e1:2379"});
    EXPECT_EQ(endpoints("etcd3: {host: '[::1]:23'}"), List{"http://[::1]:23"});
    EXPECT_EQ(endpoints("etcd3: {hosts: [e1, 'e2:1'], port: 7}"), (List{"http://e1:7", "http://e2:1"}));
    EXPECT_EQ(endpoints("etcd3: {hosts: [e1], host: e2}"), List{"http://e1:2379"});
    EXPECT_EQ(endpoints("etcd3: {srv: x.org, hosts: [e1]}"), List{"http://e1:2379"});
    const auto url = etcd("etcd3: {url: 'https://us%40er:pa:ss@e1:1/', username: other}");
    ASSERT_TRUE(url) << url.error().line();
    EXPECT_EQ(url->etcd.endpoints, List{"https://e1:1"});
    EXPECT_EQ(url->etcd.authentication.username, "us@er");
    EXPECT_EQ(url->etcd.authentication.password, "pa:ss");
    EXPECT_FALSE(url->etcd.use_proxies);
    const auto proxy = etcd("etcd3: {proxy: 'http://e1'}");
    ASSERT_TRUE(proxy);
    EXPECT_TRUE(proxy->etcd.use_proxies);

    EXPECT_EQ(problem(etcd("etcd3: {srv: x.org}")),
              "p.yml:5:9: etcd3.srv is not supported: endpoints are not looked up in DNS (name them in etcd3.hosts)");
    EXPECT_NE(problem(etcd("etcd3: {}")).find("names no endpoint"), std::string::npos);
    EXPECT_NE(problem(etcd("etcd3: {host: 'e1:port'}")).find("'e1:port' is no host:port"), std::string::npos);
    EXPECT_NE(problem(etcd("etcd3: {hosts: []}")).find("etcd3.hosts is empty"), std::string::npos);
    EXPECT_NE(problem(etcd("etcd: {host: e1}")).find("etcd is etcd's v2 protocol"), std::string::npos);
    EXPECT_NE(problem(etcd("consul: {host: e1}")).find("consul is a store that is not supported"), std::string::npos);
    EXPECT_NE(warnings(etcd("etcd3: {host: e1, cacert: x}")).find("set etcd3.protocol: https"), std::string::npos);
}

TEST_F(AgentConfigFile, tags_follow_patronis_rules) {
    const auto tags = [&](const std::string& section) {
        auto config = load("tags: " + section + "\n");
        EXPECT_TRUE(config) << config.error().line();
        return config.value_or(AgentConfig{});
    };
    const AgentConfig plain =
        tags("{nofailover: false, noloadbalance: true, nosync: 'true', replicatefrom: pg-b, key: false, n: 1}");
    EXPECT_FALSE(plain.tags.nofailover);
    EXPECT_TRUE(plain.tags.noloadbalance);
    EXPECT_TRUE(plain.tags.nosync);
    EXPECT_EQ(plain.tags.sync_priority, 0);
    EXPECT_EQ(plain.tags.replicatefrom, "pg-b");
    EXPECT_EQ(json::serialize(plain.published_tags),
              R"({"noloadbalance":true,"nosync":"true","replicatefrom":"pg-b","key":false,"n":1})");

    EXPECT_EQ(tags("{failover_priority: '2'}").tags.failover_priority, 2);
    const AgentConfig never = tags("{failover_priority: 0, sync_priority: -1}");
    EXPECT_TRUE(never.tags.nofailover);
    EXPECT_TRUE(never.tags.nosync);

    const AgentConfig conflict = tags("{nofailover: true, failover_priority: 1}");
    EXPECT_TRUE(conflict.tags.nofailover);
    EXPECT_EQ(conflict.tags.failover_priority, 0);
    EXPECT_EQ(conflict.warnings,
              std::vector<std::string>{"Conflicting configuration between nofailover: True and failover_priority: 1. "
                                       "Defaulting to nofailover: True"});
    const AgentConfig other = tags("{nosync: false, sync_priority: 0}");
    EXPECT_FALSE(other.tags.nosync);
    EXPECT_EQ(other.warnings,
              std::vector<std::string>{"Conflicting configuration between nosync: False and sync_priority: 0. "
                                       "Defaulting to nosync: False"});
    EXPECT_EQ(json::serialize(other.published_tags), R"({"nosync":false,"sync_priority":0})");
    EXPECT_FALSE(tags("{nofailover: 'false'}").tags.nofailover);
}

TEST_F(AgentConfigFile, the_log_section_never_stops_the_agent) {
    const auto config = load("log: {type: xml, level: loud, format: '%(nothing)s', file_num: many, mode: 9999}\n");
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->log.format, log::Options{}.format);
    EXPECT_EQ(config->log.level, log::Level::info);
    EXPECT_EQ(config->log.file_count, 4);
    EXPECT_EQ(config->log.file_mode, 0644);
    EXPECT_EQ(config->warnings.size(), 5U);
    const auto fields =
        load("log: {type: json, format: [message, {levelname: level}], static_fields: {app: pg, n: 1}}\n");
    ASSERT_TRUE(fields);
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(fields->log.json_fields, (Pairs{{"message", "message"}, {"levelname", "level"}}));
    EXPECT_EQ(fields->log.static_fields, (Pairs{{"app", "\"pg\""}, {"n", "1"}}));
}

TEST_F(AgentConfigFile, bootstrap_warns_about_what_it_will_store) {
    EXPECT_EQ(warnings(load("bootstrap:\n  dcs:\n    ttl: 1\n    loop_wiat: 2\n")),
              "p.yml:12:5: bootstrap.dcs.ttl 1 is not between 3 and 31536000\n"
              "p.yml:13:5: bootstrap.dcs.loop_wiat is not a known key (is 'loop_wait' meant?)\n");
    const auto config =
        load("bootstrap:\n  initdb: {pgdata: x, encoding: UTF8, data-checksums: true, no-locale: false}\n");
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->bootstrap.initdb, (std::vector<std::string>{"--encoding=UTF8", "--data-checksums"}));
    EXPECT_NE(problem(load("bootstrap: {initdb: [--encoding]}\n")).find("without the leading --"), std::string::npos);
}

TEST_F(AgentConfigFile, a_client_needs_only_the_cluster) {
    const auto config = load_client_config(
        write("c.yml", "scope: batman\netcd3: {host: e1}\nctl: {insecure: true}\npostgresql: broken\n"), {});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->prefix(), "/service/batman/");
    EXPECT_TRUE(config->ctl.insecure);
    EXPECT_FALSE(load_client_config(write("c.yml", "scope: batman\n"), {}));
    EXPECT_TRUE(load_client_config("", {{"PATRONI_ETCD3_HOST", "e1"}}));
}

TEST_F(AgentConfigFile, users_may_stand_where_they_once_stood) {
    std::string text = minimal;
    text.replace(text.find("authentication: {replication:"), 29, "superuser: {username: boss}\n  replication:");
    text.replace(text.find("rep-pass}}"), 10, "rep-pass}");
    const auto config = load_agent_config(write("p.yml", text), {});
    ASSERT_TRUE(config) << config.error().line();
    EXPECT_EQ(config->postgresql.superuser.username, "boss");
    EXPECT_EQ(config->postgresql.replication.password, "rep-pass");
    EXPECT_FALSE(config->postgresql.section.contains("superuser"));
}

TEST(process_environment, is_what_the_process_was_started_with) {
    setenv("PGKEEL_TEST_VARIABLE", "a=b", 1);
    EXPECT_EQ(process_environment().at("PGKEEL_TEST_VARIABLE"), "a=b");
    unsetenv("PGKEEL_TEST_VARIABLE");
}

}  // namespace
}  // namespace pgkeel::config
