#pragma once
#include "proxy/options.hpp"

namespace pgkeel::proxy {

/// The whole life of a process `pgkeel proxy`: configuration, user, limits, background, log, pidfile; then serve().
/// \return the exit status: 0 ended on request, 1 it could not go on, 2 the configuration is wrong
int run_process(const Options& options);

}  // namespace pgkeel::proxy
