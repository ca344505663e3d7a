#pragma once
#include "base/result.hpp"
#include "local/plan.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>

// What must be true before anything is started. Each check ends in one error that names the object, the value and the
// next step.

namespace pgkeel::local {

/// The user who owns the directory and runs the servers: never root, which PostgreSQL refuses.
struct ServerUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string home;
};
/// Root: the user postgres; others: themselves. Errors: not_found.
Result<ServerUser> server_user();
/// The owner of an existing cluster's directory. Errors: not_found; denied — it is somebody else's and we are not root.
Result<ServerUser> owner_of(const std::string& directory);

/// The programs to run, each with its full path.
struct Programs {
    std::string etcd;
    std::string postgres_directory;  ///< holds postgres, initdb, psql, …
};
/// `search_path` as $PATH. Errors: not_found, with the Debian package to install.
Result<Programs> find_programs(const std::string& search_path);

/// Errors: unavailable, with the path and both amounts.
Result<> check_disk(const std::string& path, std::uint64_t bytes_needed);

/// The directory is missing or empty, or holds a cluster, and belongs to `user`, who can reach it. Errors: denied,
/// unsafe.
Result<> check_directory(const std::string& directory, const ServerUser& user);

/// The ports of every server that does not run are free. Errors: already_exists, with port, node and who has it.
Result<> check_ports(const Plan& plan, const Layout& layout);

/// The program's own file can be run by `user`, as it starts itself again for the agents. Errors: denied.
Result<> check_own_program(const ServerUser& user);

}  // namespace pgkeel::local
