#include "config/address.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace pgkeel::config {
namespace {

/// What `authentication.USER` may hold besides username and password: libpq's words that Patroni passes on.
constexpr std::array<std::string_view, 10> connection_keys{
    "sslmode", "sslcert",   "sslkey",     "sslpassword",     "sslrootcert",
    "sslcrl",  "sslcrldir", "gssencmode", "channel_binding", "sslnegotiation"};

PgUser read_user(const View& view, const std::string& path, Findings& findings) {
    PgUser out;
    for (auto& [key, value] : view.map(path)) {
        if (key == "username")
            out.username = value;
        else if (key == "password")
            out.password = value;
        else if (std::ranges::find(connection_keys, key) != connection_keys.end())
            out.connection.emplace(key, value);
        else
            findings.warn(path + '.' + key, "is not a known key");
    }
    out.configured_password = out.password;
    return out;
}

std::string home_of(const Environment& environment) {
    if (const auto home = environment.find("HOME"); home != environment.end() && !home->second.empty())
        return home->second;
    const passwd* user = getpwuid(geteuid());  // NOLINT(concurrency-mt-unsafe): before there is a second thread
    return user == nullptr ? "" : user->pw_dir;
}

/// What the others are told when connect_address is not set: an address listened on, this machine's own name for all of
/// them.
std::string connect_host(const std::vector<std::string>& listen_hosts, Findings& findings) {
    const auto local = [](const std::string& host) {
        return is_any_host(host) || host == "127.0.0.1" || host == "localhost";
    };
    if (std::ranges::none_of(listen_hosts, local) && !listen_hosts.empty()) return listen_hosts.front();
    findings.warn("postgresql.connect_address",
                  "is not set: other nodes are told 'localhost' and cannot reach this one");
    return "localhost";
}

void read_addresses(const View& view, Postgresql& out, Findings& findings) {
    std::string listen = view.text("postgresql.listen");
    std::erase_if(listen, [](char c) { return c == ' ' || c == '\t'; });
    if (listen.empty()) return;  // named as missing elsewhere
    const auto address = split_address(listen, "5432");
    if (!address) {
        findings.error("postgresql.listen", fmt::format("'{}' is no host[,host…]:port", listen));
        return;
    }
    for (std::string host : split_commas(address->host.empty() ? "*" : address->host)) {
        if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
        out.listen_hosts.push_back(std::move(host));
    }
    out.listen_port = address->port;
    const auto normal = [&](const char* path) {
        const auto found = split_address(view.text(path), out.listen_port);
        return found ? found->text() : std::string();
    };
    out.connect_address =
        view.has("postgresql.connect_address")
            ? normal("postgresql.connect_address")
            : Address{.host = connect_host(out.listen_hosts, findings), .port = out.listen_port}.text();
    if (view.has("postgresql.proxy_address")) out.proxy_address = normal("postgresql.proxy_address");
}

void read_users(const View& view, Postgresql& out, Findings& findings) {
    // Before Patroni 1.3 the users stood beside `authentication`'s place.
    const bool older = !view.has("postgresql.authentication");
    const std::string parent = older ? "postgresql." : "postgresql.authentication.";
    out.superuser = read_user(view, parent + "superuser", findings);
    if (out.superuser.username.empty() && view.has("postgresql.pg_rewind"))
        out.superuser = read_user(view, "postgresql.pg_rewind", findings);
    out.replication = read_user(view, parent + "replication", findings);
    if (out.replication.username.empty())
        findings.error("postgresql.authentication.replication.username", "is missing: who do standbys connect as?");
    const bool has_rewind = view.has("postgresql.authentication.rewind");
    out.rewind = has_rewind ? read_user(view, "postgresql.authentication.rewind", findings) : out.superuser;
}

}  // namespace

Postgresql read_postgresql(const View& view, const Environment& environment, Findings& findings) {
    Postgresql out;
    read_addresses(view, out, findings);
    read_users(view, out, findings);
    out.data_dir = view.text("postgresql.data_dir");
    out.config_dir = view.has("postgresql.config_dir") ? view.text("postgresql.config_dir") : out.data_dir;
    out.config_base_name = view.text("postgresql.config_base_name");
    out.bin_dir = view.text("postgresql.bin_dir");
    out.bin_name = view.map("postgresql.bin_name");
    out.database = view.text("postgresql.database");
    out.pg_ctl_timeout_seconds = static_cast<int>(view.number("postgresql.pg_ctl_timeout"));
    out.pgpass = view.has("postgresql.pgpass") ? view.text("postgresql.pgpass") : home_of(environment) + "/pgpass";
    out.callbacks = {.on_start = view.text("postgresql.callbacks.on_start"),
                     .on_stop = view.text("postgresql.callbacks.on_stop"),
                     .on_restart = view.text("postgresql.callbacks.on_restart"),
                     .on_reload = view.text("postgresql.callbacks.on_reload"),
                     .on_role_change = view.text("postgresql.callbacks.on_role_change")};
    out.pre_promote = view.text("postgresql.pre_promote");
    out.before_stop = view.text("postgresql.before_stop");
    out.use_unix_socket = view.flag("postgresql.use_unix_socket");
    out.use_unix_socket_repl = view.flag("postgresql.use_unix_socket_repl");
    out.section = view.object("postgresql");
    for (const char* secret : {"authentication", "superuser", "replication", "pg_rewind"}) out.section.erase(secret);
    return out;
}

std::string Postgresql::program(const std::string& program_name) const {
    const auto renamed = bin_name.find(program_name);
    const std::string& file = renamed == bin_name.end() ? program_name : renamed->second;
    return bin_dir.empty() || file.contains('/') ? file : bin_dir + '/' + file;
}

}  // namespace pgkeel::config
