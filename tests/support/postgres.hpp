#pragma once
#include "async/workers.hpp"
#include "postgres/local_server.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <filesystem>

#include <memory>
#include <string>

// Real PostgreSQL servers for tests: in a folder of their own below the temporary directory, on free ports, gone when
// the test ends.

namespace pgkeel::test {

/// A TCP port of 127.0.0.1 that is free now.
inline int free_port() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool bound = bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    close(listener);
    return bound ? ntohs(address.sin_port) : 0;
}

/// A folder that the user of PostgreSQL owns: `postgres` when we are root.
class Folder {
  public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pgkeel-test-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
        if (const passwd* user = geteuid() == 0 ? getpwnam("postgres") : nullptr)
            if (chown(path_.c_str(), user->pw_uid, user->pw_gid) != 0) path_.clear();
    }
    ~Folder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline std::string postgres_programs() {
    return "/usr/lib/postgresql/15/bin";
}

/// What a node's file would say. Its data directory is `folder`/`name`.
inline config::AgentConfig node_config(const std::string& folder, const std::string& name) {
    config::AgentConfig agent;
    agent.scope = "test";
    agent.name = name;
    config::Postgresql& postgresql = agent.postgresql;
    postgresql.listen_hosts = {"127.0.0.1"};
    postgresql.listen_port = std::to_string(free_port());
    postgresql.connect_address = "127.0.0.1:" + postgresql.listen_port;
    postgresql.data_dir = folder + "/" + name;
    postgresql.bin_dir = postgres_programs();
    postgresql.pgpass = folder + "/pgpass-" + name;
    postgresql.superuser = {.username = "postgres", .password = "super: secret", .connection = {}};
    postgresql.replication = {.username = "replicator", .password = "rep\\secret", .connection = {}};
    postgresql.rewind = {.username = "rewinder", .password = "rewind-secret", .connection = {}};
    postgresql.section["parameters"] = boost::json::object{{"unix_socket_directories", folder},
                                                           {"fsync", "off"},
                                                           {"shared_buffers", "16MB"},
                                                           {"log_line_prefix", name + " %p "}};
    postgresql.section["use_pg_rewind"] = true;
    postgresql.section["basebackup"] = boost::json::object{{"checkpoint", "fast"}};
    agent.has_bootstrap = true;
    agent.bootstrap.initdb = {"--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", "--no-sync"};
    agent.bootstrap.pg_hba = {"host all all 127.0.0.1/32 scram-sha-256",
                              "host replication replicator 127.0.0.1/32 scram-sha-256"};
    return agent;
}

/// One node: its configuration and its server.
class Node {
  public:
    Node(EventLoop& loop, Workers& workers, const std::string& folder, const std::string& name)
        : agent(node_config(folder, name)), loop_(loop), workers_(workers) {
        adopt();
    }
    ~Node() { loop_.run(server->kill_everything()); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Forgets everything, as a restarted agent does.
    void adopt() {
        server.reset();
        server = std::make_unique<postgres::LocalServer>(loop_.context.get_executor(), loop_.clock, workers_, agent);
    }
    Member member() const {
        Member member;
        member.name = agent.name;
        member.host = "127.0.0.1";
        member.port = agent.postgresql.listen_port;
        member.conn_url = "postgres://127.0.0.1:" + member.port + "/postgres";
        member.role = Role::primary;
        return member;
    }
    postgres::Source source(const std::string& slot = {}) const {
        return {.name = agent.name, .host = "127.0.0.1", .port = agent.postgresql.listen_port, .slot_name = slot};
    }
    ServerState observe(Duration time = std::chrono::seconds(3)) {
        return loop_.run(server->observe(loop_.clock.now() + time));
    }
    /// Observes until `condition` holds; the last state.
    template <class Condition>
    ServerState observe_until(Condition condition, Duration time = std::chrono::seconds(20)) {
        const Instant end = loop_.clock.now() + time;
        ServerState state = observe();
        while (!condition(state) && loop_.clock.now() < end) {
            loop_.run(loop_.clock.sleep_for(std::chrono::milliseconds(20)));
            state = observe();
        }
        EXPECT_TRUE(condition(state)) << agent.name << " never came into the state that was waited for";
        return state;
    }
    std::unique_ptr<postgres::Connection> connect(const std::string& database = "postgres") {
        postgres::Login login;
        login.endpoint = {"127.0.0.1", agent.postgresql.listen_port};
        login.user = agent.postgresql.superuser;
        login.database = database;
        login.application_name = "test";
        auto opened =
            loop_.run(postgres::Connection::open(loop_.clock, login, loop_.clock.now() + std::chrono::seconds(5)));
        EXPECT_TRUE(opened) << opened.error().line();
        return opened ? std::move(*opened) : nullptr;
    }
    /// One value, or the error's text.
    std::string ask(const std::string& statement) {
        const auto connection = connect();
        if (!connection) return "no connection";
        auto rows = loop_.run(connection->query(statement, {}, loop_.clock.now() + std::chrono::seconds(10)));
        if (!rows) return rows.error().text;
        return rows->empty() ? "" : rows->front().at(0).value_or("NULL");
    }

    config::AgentConfig agent;
    std::unique_ptr<postgres::LocalServer> server;

  private:
    EventLoop& loop_;
    Workers& workers_;
};

#define PGKEEL_ASSERT_OK(expression)                                  \
    do {                                                              \
        const auto pgkeel_outcome = (expression);                     \
        ASSERT_TRUE(pgkeel_outcome) << pgkeel_outcome.error().line(); \
    } while (false)

}  // namespace pgkeel::test
