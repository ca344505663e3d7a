#pragma once
#include <string>

namespace pgkeel::agent {

/// Runs one node until SIGTERM or SIGINT, or until it cannot go on.
/// \param config  a YAML file or a directory of them; empty: PATRONI_CONFIGURATION and the other PATRONI_* variables
/// alone
/// \return the exit status: 0 stopped on request, 1 it could not go on, 2 the configuration is wrong
int run_agent(const std::string& config);

/// Reads the configuration and says what is wrong with it. Returns 0 or 2.
int check_agent_config(const std::string& config);

}  // namespace pgkeel::agent
