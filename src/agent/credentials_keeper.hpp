#pragma once
#include "async/workers.hpp"
#include "config/credentials.hpp"
#include "postgres/local_server.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pgkeel::agent {

/// The passwords that this agent logs in with while they change on the running cluster: its file of them, the
/// configuration in memory, and what the server is told. One request at a time; whether the cluster's rotation allows
/// it is asked by the caller (rest/actions_credentials.cpp).
///
/// In every phase the agent has each password that a server of the cluster could want: before the primary gets a new
/// one both are on disk here, and the old one goes only when every server is known to have the new one.
class CredentialsKeeper {
  public:
    /// All outlive it. `config`: what the server's code reads; only its passwords are changed here.
    CredentialsKeeper(Clock& clock, Workers& workers, postgres::LocalServer& server, config::AgentConfig& config);

    /// Reads the file. Errors: as config::load_credentials.
    Result<> load();
    /// Puts what is known over `config`, which somebody else has replaced.
    void apply();

    /// A role of PostgreSQL and the sections of `authentication` that name it.
    struct Role {
        std::string name;
        std::vector<std::string> sections;
        bool has_password = false;
    };
    std::vector<Role> roles() const;
    const config::RotatedCredentials& credentials() const { return credentials_; }
    const std::string& path() const { return path_; }
    /// Why no passwords could be kept; empty: they could.
    std::string trouble() const;

    /// Stores new passwords beside those in use. Errors: invalid_input — a role that has no password here; io_error.
    Task<Result<>> prepare(std::string rotation, std::map<std::string, std::string> passwords);
    /// Tells the server of this primary, then switches. Errors: as LocalServer::set_passwords; conflict.
    Task<Result<>> commit(std::string rotation);
    /// Switches when the primary takes the new ones, and proves them. Errors: unavailable — not yet; conflict — this
    /// rotation was never prepared here.
    Task<Result<>> settle(std::string rotation, std::optional<Member> leader);
    /// Forgets the old ones; a second time does nothing.
    Task<Result<>> finish(std::string rotation);
    /// Forgets the new ones of a rotation that the primary never heard of.
    Task<Result<>> abandon(std::string rotation);

  private:
    Result<> check(const std::string& rotation) const;
    Task<Result<config::RotatedCredentials>> without_older_rotation();
    Task<Result<>> put_new_first();
    Task<Result<>> keep(config::RotatedCredentials next);

    Clock& clock_;
    Workers& workers_;
    postgres::LocalServer& server_;
    config::AgentConfig& config_;
    std::string path_;
    config::RotatedCredentials credentials_;
};

}  // namespace pgkeel::agent
