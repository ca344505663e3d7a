#pragma once
#include "base/result.hpp"
#include "local/files.hpp"
#include "local/plan.hpp"
#include "local/preflight.hpp"

#include <string>

namespace pgkeel::local {

struct UpOptions {
    std::string directory;                     ///< absolute
    int nodes = 0;                             ///< 0: as many as there are, three in a new cluster
    std::string scope;                         ///< empty: as it is, "demo" in a new cluster
    bool remember = true;                      ///< as the cluster that commands without --dir are about
    std::vector<std::string> agent_program{};  ///< empty: this program; its last argument will be the node's file
    std::vector<std::string> proxy_program{};  ///< the same for the proxy
};

/// A cluster whose directory, files and locks are ready, so that it can be started.
struct Prepared {
    Plan plan;
    Layout layout;
    Programs programs;
    std::vector<std::string> agent_program;
    std::vector<std::string> proxy_program;
    bool is_new = false;
    DirectoryLock lock;
};

/// Checks everything that can be checked, makes or reads the plan and writes the files. As root, this process then has
/// become the user who runs the servers, for good: nothing that follows has more rights than they have. Errors: see
/// preflight.hpp.
Result<Prepared> prepare(const UpOptions& options);

/// Becomes `user` for good, with a private umask. Does nothing when we are that user.
Result<> become(const ServerUser& user);

/// Remembers the directory for commands without --dir.
Result<> remember_directory(const std::string& directory);

}  // namespace pgkeel::local
