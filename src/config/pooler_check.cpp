#include "config/pooler.hpp"
#include "config/view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

// Rules between keys. Each says which key is at fault, so that the message can point at its line.

namespace pgkeel::config {
namespace {

struct Checker {
    const PoolerConfig& config;
    std::vector<Problem> problems;

    const PoolerSettings& settings() const { return config.settings; }

    void problem(const std::string& key, std::string text, std::string hint) {
        problems.push_back({.where = config.place(key), .text = std::move(text), .hint = std::move(hint)});
    }

    /// PgBouncer would start, and something would not work as it was meant.
    void doubt(const std::string& key, std::string text, std::string hint) {
        problem(key, std::move(text), std::move(hint));
        problems.back().tolerated = true;
    }

    void authentication() {
        const PoolerSettings& s = settings();
        if (s.auth_type == AuthType::hba && s.auth_hba_file.empty())
            doubt("auth_type", "auth_type is hba and there is no auth_hba_file", "set auth_hba_file");
        if (s.auth_type == AuthType::ldap || s.auth_type == AuthType::pam)
            problem("auth_type", fmt::format("auth_type {} is not supported", to_string(s.auth_type)),
                    "use scram-sha-256 with auth_query, or hba");
        if (s.auth_type == AuthType::cert && !verifies(s.client_tls_sslmode))
            problem("auth_type",
                    fmt::format("auth_type is cert and client_tls_sslmode is {}, so that no certificate is checked",
                                to_string(s.client_tls_sslmode)),
                    "set client_tls_sslmode to verify-full or verify-ca");
        if (config.places.contains("auth_query") && !s.auth_query.empty() && !has_auth_user())
            doubt("auth_query", "auth_query is set and no auth_user runs it", "set auth_user");
        if (!s.auth_user.empty() && s.auth_query.empty())
            doubt("auth_user", "auth_user is set and auth_query is empty", "set auth_query, or leave its default");
        if (s.auth_dbname == "pgbouncer")
            problem("auth_dbname", "cannot use the reserved \"pgbouncer\" database as an auth_dbname",
                    "name a database that has the users");
        for (const auto& [name, entry] : config.databases)
            if (entry.auth_dbname == "pgbouncer")
                doubt("databases." + name,
                      fmt::format("database {}: auth_dbname is pgbouncer, which is the console and has no users", name),
                      "name a database that has the users");
        if (s.auth_type == AuthType::any)
            for (const auto& [name, entry] : config.databases)
                if (entry.user.empty())
                    doubt("databases." + name,
                          fmt::format("database {} has no user, and with auth_type any clients have no name", name),
                          "add user=, or choose another auth_type");
    }

    bool has_auth_user() const {
        return !settings().auth_user.empty() ||
               std::ranges::any_of(config.databases, [](const auto& entry) { return !entry.second.auth_user.empty(); });
    }

    static bool verifies(TlsMode mode) { return mode == TlsMode::verify_ca || mode == TlsMode::verify_full; }

    void tls() {
        const PoolerSettings& s = settings();
        if (s.client_tls_sslmode != TlsMode::disable) {
            const std::string mode = to_string(s.client_tls_sslmode);
            if (s.client_tls_cert_file.empty())
                problem("client_tls_sslmode",
                        fmt::format("client_tls_sslmode is {} and there is no client_tls_cert_file", mode),
                        "set client_tls_cert_file and client_tls_key_file, or client_tls_sslmode to disable");
            if (s.client_tls_key_file.empty())
                problem("client_tls_sslmode",
                        fmt::format("client_tls_sslmode is {} and there is no client_tls_key_file", mode),
                        "set client_tls_key_file, or client_tls_sslmode to disable");
            if (verifies(s.client_tls_sslmode) && s.client_tls_ca_file.empty())
                problem("client_tls_sslmode",
                        fmt::format("client_tls_sslmode is {} and there is no client_tls_ca_file", mode),
                        "who signs the clients' certificates? set client_tls_ca_file");
        }
        if (verifies(s.server_tls_sslmode) && s.server_tls_ca_file.empty())
            doubt("server_tls_sslmode",
                  fmt::format("server_tls_sslmode is {} and there is no server_tls_ca_file",
                              to_string(s.server_tls_sslmode)),
                  "who signs the servers' certificates? set server_tls_ca_file");
        if (s.server_tls_cert_file.empty() != s.server_tls_key_file.empty()) {
            const char* set = s.server_tls_cert_file.empty() ? "server_tls_key_file" : "server_tls_cert_file";
            const char* missing = s.server_tls_cert_file.empty() ? "server_tls_cert_file" : "server_tls_key_file";
            doubt(set, fmt::format("{} is set without {}", set, missing), fmt::format("set {}", missing));
        }
        protocols("client_tls_protocols", s.client_tls_protocols);
        protocols("server_tls_protocols", s.server_tls_protocols);
    }

    void protocols(const std::string& key, const std::string& written) {
        constexpr std::array<std::string_view, 10> words{"secure", "default", "all",     "legacy",  "none",
                                                         "tlsv1",  "tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"};
        std::string list = written;
        std::ranges::replace(list, ':', ',');
        for (const std::string& part : split_commas(list)) {
            std::string word = part.starts_with('!') ? part.substr(1) : part;
            std::ranges::transform(word, word.begin(),
                                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
            if (std::ranges::find(words, word) == words.end())
                problem(key, fmt::format("{}: '{}' is no version of TLS", key, part),
                        "write secure, all, or some of tlsv1.2, tlsv1.3");
        }
    }

    void addresses() {
        const PoolerSettings& s = settings();
        if (config.listeners.empty() && s.unix_socket_dir.empty())
            problem("listen_addr", "nothing listens: there are no addresses and no Unix socket",
                    "set listen_addr or unix_socket_dir; in YAML proxy.listeners");
        for (std::size_t i = 0; i < config.listeners.size(); ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (config.listeners[i].port != 0 && config.listeners[i].host == config.listeners[j].host &&
                    config.listeners[i].port == config.listeners[j].port)
                    problem(
                        "listeners",
                        fmt::format("{}:{} is listened on twice", config.listeners[i].host, config.listeners[i].port),
                        "give one of them another port");
        if (!config.peers.empty() && s.peer_id == 0)
            doubt("peer_id", "there are peers and this process has no peer_id", "set peer_id, another one in each");
    }

    void cluster() {
        const bool is_native =
            std::ranges::any_of(config.listeners, [](const Listener& l) { return l.route != Route::configured; });
        if (config.follows_cluster || !is_native) return;
        if (config.databases.empty())
            problem("databases", "no cluster is followed and no database is named",
                    "add scope and etcd3, or proxy.databases with their hosts");
        for (const auto& [name, entry] : config.databases)
            if (entry.hosts.empty())
                problem("databases." + name, fmt::format("database {} has no host and no cluster is followed", name),
                        "add host, or scope and etcd3");
    }
};

}  // namespace

std::string PoolerConfig::place(const std::string& key) const {
    const auto found = places.find(key);
    return found == places.end() ? source : found->second;
}

std::vector<Problem> check_pooler(const PoolerConfig& config) {
    Checker checker{.config = config, .problems = {}};
    checker.authentication();
    checker.tls();
    checker.addresses();
    checker.cluster();
    return std::move(checker.problems);
}

}  // namespace pgkeel::config
