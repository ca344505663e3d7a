#pragma once
#include "postgres/configuration_files.hpp"
#include "postgres/programs.hpp"
#include "postgres/sql.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

// A new cluster: its files, then its users.

namespace pgkeel::postgres {

/// What a custom method leaves to be recovered.
struct Bootstrapped {
    bool custom = false;
    bool keeps_recovery_conf = false;           ///< the script wrote the recovery settings itself
    std::optional<ParameterMap> recovery_conf;  ///< to be written before the start
    Signal signal = Signal::none;
    /// hot_standby must be off for this start: recovery ends by itself, and we want no look at a server on its way.
    bool hot_standby_off = false;
};

/// initdb, or the configured method. The data directory holds a cluster afterwards, with `bootstrap.pg_hba` or, for a
/// custom method, a temporary pg_hba.conf (`bootstrap_hba_text`) that lets this host alone in. Errors: process_failed,
/// io_error, cancelled.
Task<Result<Bootstrapped>> create_cluster_files(const Programs& programs, ConfigurationFiles& files, Deadline deadline,
                                                Cancel* cancel);

/// initdb's arguments; the password comes through a file.
std::vector<std::string> initdb_arguments(const config::AgentConfig& agent, const std::string& password_file);
/// A custom method's arguments: --scope, --datadir (not with no_params), --key=value.
std::vector<std::string> custom_arguments(const config::Method& method, const config::AgentConfig& agent);
/// Trust for the local socket, the loopback and this node's own addresses.
std::string bootstrap_hba_text(const config::AgentConfig& agent);

/// The superuser's password, before post_bootstrap may use it. Passwords are hashed here, so that no server log holds
/// them, and the statements are kept out of its log. Errors: postgres_error.
Task<Result<>> set_superuser_password(const config::AgentConfig& agent, RunSql sql);
/// The replication and the rewind user, created or altered, and what the rewind user may call. Errors: postgres_error.
Task<Result<>> create_service_users(const config::AgentConfig& agent, RunSql sql);
/// CREATE ROLE or ALTER ROLE. `verifier`: the hashed password, empty for none; `options`: SUPERUSER, REPLICATION or
/// nothing.
std::string role_statement(bool exists, const std::string& name, const std::string& verifier,
                           const std::string& options);
/// After the users of a custom method's cluster are set: takes the temporary pg_hba.conf and the recovery signals away.
/// The configuration is to be written again and reloaded, and the server restarted when hba_file points elsewhere.
Result<> end_custom_bootstrap(ConfigurationFiles& files, const config::AgentConfig& agent, const json::object& dynamic);
/// Puts what a custom method's first start needs into the parameters.
void apply_bootstrap(const Bootstrapped& made, const ConfigurationFiles& files, Parameters& parameters);

/// A password as the server would store it: SCRAM-SHA-256 or md5. Errors: postgres_error.
Result<std::string> password_verifier(const std::string& user, const std::string& password,
                                      const std::string& encryption);

/// Runs `bootstrap.post_bootstrap` with the dsn, password in a file. Does nothing without one. Errors: process_failed.
Task<Result<>> run_post_bootstrap(const Programs& programs, Endpoint endpoint, Deadline deadline, Cancel* cancel);

}  // namespace pgkeel::postgres
