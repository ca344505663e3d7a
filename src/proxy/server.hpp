#pragma once
#include "config/pooler.hpp"
#include "proxy/options.hpp"
#include "proxy/predecessor.hpp"
#include "proxy/signals.hpp"

namespace pgkeel::proxy {

/// Serves clients until a signal or the console ends it. The process around it is ready: user, limits, log, pidfile.
/// \param predecessor  the process that serves until we can; null: nobody does
/// \return the exit status: 0 ended on request, 1 it could not go on
int serve(config::PoolerConfig config, const Options& options, Signals& signals,
          std::unique_ptr<Predecessor> predecessor);

}  // namespace pgkeel::proxy
