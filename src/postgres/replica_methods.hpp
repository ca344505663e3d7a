#pragma once
#include "postgres/configuration_files.hpp"
#include "postgres/conninfo.hpp"
#include "postgres/programs.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <vector>

// How a replica's data directory is filled.

namespace pgkeel::postgres {

/// A way to build a replica, from `create_replica_methods` and the section of its name.
struct ReplicaMethod {
    std::string name;
    bool basebackup = false;
    std::string command;                 ///< empty for basebackup
    bool no_leader = false;              ///< can work without a running member
    bool keep_data = false;              ///< wants the data directory as it is
    bool no_params = false;              ///< gets none of --scope, --role, --datadir, --connstring
    std::vector<std::string> arguments;  ///< --key=value; basebackup: pg_basebackup's options
};

/// In order; options of pg_basebackup that we set ourselves are dropped with a warning. `standby_cluster`: its own
/// create_replica_methods, if any, win (for the standby leader).
std::vector<ReplicaMethod> replica_methods(const config::AgentConfig& agent, const json::object& dynamic,
                                           bool standby_cluster_leader, std::vector<std::string>& warnings);
bool can_clone_without_leader(const std::vector<ReplicaMethod>& methods);

/// Tries the methods in order until one works. `source` empty: only those with no_leader. The data directory is emptied
/// before each unless it keeps the data, and is emptied after a failure. Writes the password file itself. Errors:
/// process_failed — none worked, with every method's reason; cancelled; unsafe.
Task<Result<>> create_replica(const Programs& programs, ConfigurationFiles& files, std::vector<ReplicaMethod> methods,
                              std::optional<Endpoint> source, Deadline deadline, Cancel* cancel);

}  // namespace pgkeel::postgres
