#pragma once
#include <optional>
#include <string>

// Where everything of a local cluster is. One directory holds all of it, owned by the user whose servers run in it.

namespace pgkeel::local {

struct Layout {
    std::string directory;  ///< absolute

    std::string plan() const { return directory + "/cluster.json"; }
    std::string client_config() const {
        return directory + "/pgkeel.yml";
    }  ///< for the cluster commands and patronictl
    std::string password_file() const { return directory + "/pgpass"; }
    std::string service_file() const { return directory + "/pg_service.conf"; }
    std::string sockets() const { return directory + "/sock"; }

    std::string certificates() const { return directory + "/tls"; }
    std::string authority() const { return certificates() + "/ca.crt"; }
    std::string certificate(const std::string& owner) const { return certificates() + "/" + owner + ".crt"; }
    std::string key(const std::string& owner) const { return certificates() + "/" + owner + ".key"; }

    /// Of an agent (pg-a) or of a member of etcd (etcd-1).
    std::string node(const std::string& name) const { return directory + "/" + name; }
    std::string data(const std::string& name) const { return node(name) + "/data"; }
    std::string agent_config(const std::string& name) const { return node(name) + "/agent.yml"; }
    std::string agent_log(const std::string& name) const { return node(name) + "/agent.log"; }
    std::string postgres_log(const std::string& name) const { return node(name) + "/postgresql.log"; }
    std::string etcd_log(const std::string& name) const { return node(name) + "/etcd.log"; }
    std::string pid_file(const std::string& name) const { return node(name) + "/pid"; }

    /// The proxy is named like a node, so that its pid file is found like theirs.
    std::string proxy_config() const { return node(proxy_name) + "/proxy.yml"; }
    std::string proxy_users() const { return node(proxy_name) + "/userlist.txt"; }
    std::string proxy_log() const { return node(proxy_name) + "/proxy.log"; }
    static constexpr const char* proxy_name = "proxy";

    /// PostgreSQL's Unix sockets fit only into short paths (107 bytes with the socket's own name).
    bool sockets_fit() const { return sockets().size() + sizeof("/.s.PGSQL.65535") <= 107; }
};

/// Root: /var/lib/pgkeel/local; others: $XDG_DATA_HOME/pgkeel/local, else ~/.local/share/pgkeel/local.
std::string default_directory();

/// The directory that `pgkeel up` used last, as this user sees it: commands without --dir work there.
std::optional<std::string> current_directory();
/// The file that remembers it: /run/pgkeel/current for root, else $XDG_RUNTIME_DIR/pgkeel/current or /tmp/pgkeel-UID/….
std::string current_pointer();

}  // namespace pgkeel::local
