#include "proxy/process_log.hpp"

namespace pgkeel::proxy {

Result<log::Options> log_options(const config::PoolerSettings& settings, const Options& options) {
    log::Options out;
    out.level = settings.verbose > 0 ? log::Level::debug : log::Level::info;
    out.as_pgbouncer = settings.log_format == config::LogFormat::pgbouncer;
    out.to_standard_error = !options.quiet && !options.daemon;
    out.file = settings.logfile;
    if (settings.syslog) {
        const auto facility = log::syslog_facility(settings.syslog_facility);
        if (!facility) return fail("syslog_facility", facility.error());
        out.syslog = log::Syslog{.facility = *facility, .ident = settings.syslog_ident};
    }
    return out;
}

Result<> configure_log(const config::PoolerSettings& settings, const Options& options) {
    const auto wanted = log_options(settings, options);
    if (!wanted) return std::unexpected(wanted.error());
    if (auto configured = log::configure(*wanted); !configured) return configured;
    log::set_verbosity(static_cast<int>(settings.verbose));
    return {};
}

}  // namespace pgkeel::proxy
