#pragma once
#include "base/cluster_view.hpp"
#include "base/server_state.hpp"
#include "config/agent_config.hpp"
#include "postgres/conninfo.hpp"
#include "postgres/guc.hpp"
#include "postgres/server.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

// Which parameters a server of this node runs with, from the agent's file, the dynamic configuration and its role.
// Pure. Precedence: built-in <- dynamic configuration <- the agent's file; controlled parameters, which must agree on
// all nodes, come from the dynamic configuration alone (patroni's documentation, "Patroni configuration").

namespace pgkeel::postgres {

using ParameterMap = std::map<std::string, std::string>;

/// The `postgresql` section that holds on this node: dynamic <- file.
json::object effective_section(const config::AgentConfig& agent, const json::object& dynamic);

struct ParameterInput {
    const config::AgentConfig& agent;
    const json::object& dynamic;
    /// primary, standby_leader, or anything else for a replica.
    Role role = Role::replica;
    /// Only a primary may have less than pg_control says (PostgreSQL, "Hot Standby Administrator's Overview").
    std::optional<ControlData> control = {};
    std::optional<Source> source = {};
    /// Overrides from the agent itself (synchronous_standby_names, hot_standby_feedback); they win over everything.
    ParameterMap overrides = {};
    std::string passfile = {};  ///< for primary_conninfo; empty: agent.postgresql.pgpass
};

struct Parameters {
    ParameterMap command_line;  ///< the controlled ones and what is derived; for the postmaster's argv
    ParameterMap file;          ///< postgresql.conf, command line ones included; recovery settings are apart
    ParameterMap recovery;      ///< standby: primary_conninfo, restore_command, recovery_target…; empty on a primary
    /// What the decrease rule holds up until every standby allows it: {name: {old_value, new_value}}.
    json::object held_up;
    std::vector<std::string> warnings;
};

Parameters effective_parameters(const ParameterInput& input);

/// "--config_file=… --listen_addresses=… --port=… …" and -D, without the program's name.
std::vector<std::string> postmaster_arguments(const config::AgentConfig& agent, const Parameters& parameters);

/// postgresql.conf. `base` is included first.
std::string postgresql_conf_text(const std::string& base, const config::AgentConfig& agent,
                                 const Parameters& parameters);

/// The lines of pg_hba.conf or pg_ident.conf that the configuration asks for; nothing: the file is the user's own.
std::optional<std::string> pg_hba_text(const config::AgentConfig& agent, const json::object& dynamic, Role role);
std::optional<std::string> pg_ident_text(const config::AgentConfig& agent, const json::object& dynamic, Role role);

/// How this node reaches its own server: a socket directory when use_unix_socket (or …_repl for replication), else the
/// first usable address it listens on.
Endpoint local_endpoint(const config::AgentConfig& agent, const ParameterMap& parameters, bool replication = false);

}  // namespace pgkeel::postgres
