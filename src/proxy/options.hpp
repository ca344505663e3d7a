#pragma once
#include "config/pooler.hpp"

#include <functional>
#include <string>
#include <vector>

namespace pgkeel::proxy {

/// What the command line of `pgkeel proxy` says.
struct Options {
    std::string file = {};  ///< a pgbouncer.ini, or pgkeel's YAML
    bool quiet = false;
    bool daemon = false;
    bool reboot = false;                     ///< take over from the process that runs
    int verbose = 0;                         ///< how often -v was written
    std::string user = {};                   ///< the system user to become; empty: the setting
    std::vector<std::string> settings = {};  ///< "threads=4": counts more than the file

    /// Called when this process serves after another one has: only then is the pidfile ours. Never empty.
    std::function<void()> took_over = [] {};
};

/// "pgkeel 0.1.0": the first line of `pgkeel proxy --version`, and what SHOW VERSION shows.
std::string version_line();

/// Puts the command line over a configuration that was read, at the start and at each reload: -u counts more than the
/// file, -v only where the file has no `verbose`, as PgBouncer has it.
/// Errors: invalid_input — no such setting, or a value that it cannot have.
Result<> apply_options(const Options& options, config::PoolerConfig& config);

}  // namespace pgkeel::proxy
