#pragma once
#include "config/pooler.hpp"

#include <vector>

namespace pgkeel::proxy {

/// What is wrong with the files and directories that the configuration names, asked as the user who runs this: those
/// of auth_file, auth_hba_file and auth_ident_file line by line, TLS files, unix_socket_dir, the directories of logfile
/// and pidfile; and the user's name. `tolerated`: PgBouncer starts with it.
std::vector<config::Problem> check_files(const config::PoolerConfig& config);

}  // namespace pgkeel::proxy
