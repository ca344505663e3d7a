#include "local/generated_files.hpp"

#include "config/yaml.hpp"
#include "local/certificates.hpp"
#include "local/files.hpp"
#include "local/proxy_listeners.hpp"

#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <filesystem>

namespace pgkeel::local {

namespace {
namespace json = boost::json;

constexpr const char* loopback = "127.0.0.1";
constexpr const char* superuser = "postgres";
constexpr const char* database = "postgres";

std::string at(int port) {
    return fmt::format("{}:{}", loopback, port);
}

/// The certificate that commands and agents show to the REST APIs.
constexpr const char* client_certificate = "client";

json::object etcd_section(const Plan& plan, const Layout& layout) {
    json::array hosts;
    for (const EtcdPlan& member : plan.etcd) hosts.push_back(json::string(at(member.client_port)));
    return {{"hosts", hosts},
            {"protocol", "https"},
            {"cacert", layout.authority()},
            {"username", "pgkeel"},
            {"password", plan.passwords.etcd}};
}

json::object rest_credentials(const Plan& plan) {
    return {{"username", "pgkeel"}, {"password", plan.passwords.rest}};
}

json::object rest_certificates(const Layout& layout) {
    return {{"cacert", layout.authority()},
            {"certfile", layout.certificate(client_certificate)},
            {"keyfile", layout.key(client_certificate)}};
}

json::object control_section(const Plan& plan, const Layout& layout) {
    json::object section = rest_certificates(layout);
    section["authentication"] = rest_credentials(plan);
    return section;
}

json::object postgres_user(const Layout& layout, const char* name, const std::string& password) {
    return {
        {"username", name}, {"password", password}, {"sslmode", "verify-full"}, {"sslrootcert", layout.authority()}};
}

json::object authentication(const Plan& plan, const Layout& layout) {
    return {{"superuser", postgres_user(layout, superuser, plan.passwords.superuser)},
            {"replication", postgres_user(layout, "replicator", plan.passwords.replication)},
            {"rewind", postgres_user(layout, "rewinder", plan.passwords.rewind)}};
}

/// Quick reactions: everything is on one machine, so a lease of 5 s is enough for an etcd election in between.
json::object dynamic_configuration() {
    return {{"ttl", 5},
            {"loop_wait", 1},
            {"retry_timeout", 2},
            {"maximum_lag_on_failover", 1048576},
            {"postgresql",
             {{"use_pg_rewind", true},
              {"use_slots", true},
              {"parameters", {{"shared_buffers", "32MB"}, {"max_connections", 100}, {"wal_keep_size", "128MB"}}}}}};
}

json::object server_parameters(const Layout& layout, const NodePlan& node) {
    return {{"unix_socket_directories", layout.sockets_fit() ? layout.sockets() : std::string()},
            {"password_encryption", "scram-sha-256"},
            {"ssl", true},
            {"ssl_cert_file", layout.certificate(node.name)},
            {"ssl_key_file", layout.key(node.name)},
            {"ssl_ca_file", layout.authority()},
            {"logging_collector", true},
            {"log_directory", layout.node(node.name)},
            {"log_filename", "postgresql.log"},
            {"log_rotation_age", 0},
            {"log_rotation_size", 0},
            {"log_line_prefix", "%m [%p] "}};
}

std::string hosts(const Plan& plan) {
    std::string list;
    for (std::size_t i = 0; i < plan.nodes.size(); ++i) list += fmt::format("{}{}", i == 0 ? "" : ",", loopback);
    return list;
}
std::string ports(const Plan& plan) {
    std::string list;
    for (const NodePlan& node : plan.nodes) list += fmt::format("{}{}", list.empty() ? "" : ",", node.postgres_port);
    return list;
}

/// RFC 3986: everything but unreserved characters and the slash, which a query may hold.
std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

Result<> issue_if_missing(const Authority& authority, const Layout& layout, const std::string& name) {
    if (std::filesystem::exists(layout.certificate(name)) && std::filesystem::exists(layout.key(name))) return {};
    return authority.issue({.common_name = name, .dns_names = {"localhost"}, .addresses = {loopback}},
                           layout.certificate(name), layout.key(name));
}

Result<> write_certificates(const Plan& plan, const Layout& layout) {
    const auto authority = Authority::open_or_create(layout.certificates(), "pgkeel local cluster " + plan.scope);
    if (!authority) return std::unexpected(authority.error());
    std::vector<std::string> owners{client_certificate, Layout::proxy_name};
    for (const NodePlan& node : plan.nodes) owners.push_back(node.name);
    for (const EtcdPlan& member : plan.etcd) owners.push_back(member.name);
    for (const std::string& owner : owners)
        if (auto done = issue_if_missing(*authority, layout, owner); !done) return done;
    return {};
}
}  // namespace

std::string agent_file(const Plan& plan, const Layout& layout, const NodePlan& node, const Programs& programs) {
    const std::string rest = at(node.rest_port);
    const std::string postgres = at(node.postgres_port);
    const json::array initdb{
        {{"encoding", "UTF8"}}, {{"locale", "C.UTF-8"}}, "data-checksums", {{"auth", "scram-sha-256"}}};
    // Passwords everywhere, the Unix sockets included: their directory is private, and peer would not know the other
    // users.
    const json::array hba{"local all all scram-sha-256", "hostssl all all 127.0.0.1/32 scram-sha-256",
                          "hostssl replication replicator 127.0.0.1/32 scram-sha-256"};
    const json::object file{
        {"scope", plan.scope},
        {"name", node.name},
        {"restapi",
         {{"listen", rest},
          {"connect_address", rest},
          {"certfile", layout.certificate(node.name)},
          {"keyfile", layout.key(node.name)},
          {"cafile", layout.authority()},
          {"verify_client", "optional"},  // health checks need no certificate, everything that changes something does
          {"authentication", rest_credentials(plan)}}},
        {"ctl", control_section(plan, layout)},
        {"etcd3", etcd_section(plan, layout)},
        {"bootstrap", {{"dcs", dynamic_configuration()}, {"initdb", initdb}}},
        {"postgresql",
         {{"listen", postgres},
          {"connect_address", postgres},
          {"data_dir", layout.data(node.name)},
          {"bin_dir", programs.postgres_directory},
          {"pgpass", layout.node(node.name) + "/pgpass"},
          {"use_unix_socket", layout.sockets_fit()},
          {"authentication", authentication(plan, layout)},
          {"parameters", server_parameters(layout, node)},
          {"pg_hba", hba}}}};
    return config::to_yaml(file);
}

std::string proxy_file(const Plan& plan, const Layout& layout) {
    json::array listeners;
    for (const ProxyListener& listener : proxy_listeners)
        listeners.push_back({{"listen", at(plan.proxy_port(listener.name))},
                             {"route", listener.route},
                             {"pool_mode", listener.pool_mode}});
    return config::to_yaml(
        json::object{{"scope", plan.scope},
                     {"etcd3", etcd_section(plan, layout)},
                     {"ctl", rest_certificates(layout)},
                     {"proxy",
                      {{"listeners", listeners},
                       {"unix_socket_dir", ""},  // its default is /tmp, where two clusters would meet
                       {"auth_type", "scram-sha-256"},
                       {"auth_file", layout.proxy_users()},
                       {"auth_user", superuser},
                       {"auth_dbname", database},
                       {"admin_users", superuser},
                       {"client_tls_sslmode", "require"},
                       {"client_tls_cert_file", layout.certificate(Layout::proxy_name)},
                       {"client_tls_key_file", layout.key(Layout::proxy_name)},
                       {"server_tls_sslmode", "verify-full"},
                       {"server_tls_ca_file", layout.authority()},
                       {"max_client_conn", 1000},
                       // Three pools of one user may lead to the primary, which takes 100 connections.
                       {"default_pool_size", 25},
                       // Agents and proxy share one log on the screen: who comes and goes would drown what happens.
                       {"log_connections", 0},
                       {"log_disconnections", 0}}}});
}

std::string proxy_users(const Plan& plan) {
    return fmt::format("\"{}\" \"{}\"\n", superuser, plan.passwords.superuser);
}

std::string proxy_service(const Plan& plan, const std::string& listener) {
    return plan.scope + (listener == proxy_listeners.front().name ? "-proxy" : "-proxy-" + listener);
}

std::string client_file(const Plan& plan, const Layout& layout) {
    return config::to_yaml(json::object{{"scope", plan.scope},
                                        {"etcd3", etcd_section(plan, layout)},
                                        {"ctl", control_section(plan, layout)},
                                        // Patroni 3's own client takes the credentials from here alone.
                                        {"restapi", {{"authentication", rest_credentials(plan)}}},
                                        {"postgresql", {{"authentication", authentication(plan, layout)}}}});
}

std::string service_file(const Plan& plan, const Layout& layout) {
    const std::string common =
        fmt::format("dbname={}\nuser={}\npassfile={}\nsslmode=verify-full\nsslrootcert={}\nconnect_timeout=3\n",
                    database, superuser, layout.password_file(), layout.authority());
    const auto all = [&](const std::string& name, const char* target) {
        return fmt::format("[{}]\nhost={}\nport={}\ntarget_session_attrs={}\n{}\n", name, hosts(plan), ports(plan),
                           target, common);
    };
    std::string text = all(plan.scope, "read-write") + all(plan.scope + "-standby", "prefer-standby");
    for (const NodePlan& node : plan.nodes)
        text += fmt::format("[{}]\nhost={}\nport={}\n{}\n", node.name, loopback, node.postgres_port, common);
    for (const ProxyPort& each : plan.proxy)
        text += fmt::format("[{}]\nhost={}\nport={}\n{}\n", proxy_service(plan, each.listener), loopback, each.port,
                            common);
    return text;
}

std::string password_file(const Plan& plan) {
    std::vector<int> ports;
    for (const NodePlan& node : plan.nodes) ports.push_back(node.postgres_port);
    for (const ProxyPort& each : plan.proxy) ports.push_back(each.port);
    std::string text;
    for (const int port : ports)
        text += fmt::format("{}:{}:*:{}:{}\n", loopback, port, superuser, plan.passwords.superuser);
    return text;
}

std::string connection_uri(const Plan& plan, const Layout& layout) {
    std::string servers;
    for (const NodePlan& node : plan.nodes) servers += (servers.empty() ? "" : ",") + at(node.postgres_port);
    return fmt::format(
        "postgresql://{}@{}/{}?target_session_attrs=read-write&sslmode=verify-full&sslrootcert={}&passfile={}",
        superuser, servers, database, percent_encoded(layout.authority()), percent_encoded(layout.password_file()));
}

Result<> write_files(const Plan& plan, const Layout& layout, const Programs& programs) {
    std::vector<std::string> directories{layout.certificates()};
    if (layout.sockets_fit()) directories.push_back(layout.sockets());
    for (const EtcdPlan& member : plan.etcd) {
        directories.push_back(layout.node(member.name));
        directories.push_back(layout.data(member.name));
    }
    for (const NodePlan& node : plan.nodes) directories.push_back(layout.node(node.name));
    directories.push_back(layout.node(Layout::proxy_name));
    for (const std::string& directory : directories)
        if (auto made = make_private_directory(directory); !made) return made;
    if (auto done = write_certificates(plan, layout); !done) return done;
    for (const NodePlan& node : plan.nodes) {
        auto done = write_file(layout.agent_config(node.name), agent_file(plan, layout, node, programs));
        if (!done) return done;
    }
    if (auto done = write_file(layout.proxy_config(), proxy_file(plan, layout)); !done) return done;
    if (auto done = write_file(layout.service_file(), service_file(plan, layout)); !done) return done;
    return write_login_files(plan, layout);
}

Result<> write_login_files(const Plan& plan, const Layout& layout) {
    if (auto done = write_file(layout.proxy_users(), proxy_users(plan)); !done) return done;
    if (auto done = write_file(layout.client_config(), client_file(plan, layout)); !done) return done;
    return write_file(layout.password_file(), password_file(plan));
}

}  // namespace pgkeel::local
