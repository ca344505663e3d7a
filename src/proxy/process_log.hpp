#pragma once
#include "log/log.hpp"
#include "proxy/options.hpp"

namespace pgkeel::proxy {

/// Where the log goes and how it looks: standard error unless -q or -d, and besides it the logfile and syslog.
/// Errors: invalid_input — the facility.
Result<log::Options> log_options(const config::PoolerSettings& settings, const Options& options);

/// Puts these in force, with `verbose`, and opens the logfile again: at the start and at each reload. Errors:
/// invalid_input, io_error; the log stays as it was.
Result<> configure_log(const config::PoolerSettings& settings, const Options& options);

}  // namespace pgkeel::proxy
