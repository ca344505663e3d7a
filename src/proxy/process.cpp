#include "proxy/process.hpp"

#include "proxy/check_files.hpp"
#include "proxy/descriptors.hpp"
#include "proxy/handover_place.hpp"
#include "proxy/pidfile.hpp"
#include "proxy/process_daemon.hpp"
#include "proxy/process_log.hpp"
#include "proxy/process_user.hpp"
#include "proxy/server.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <csignal>
#include <cstdio>

// The order matters: the configuration is read with the rights of who started us, its files are checked with those of
// who serves; the fork comes before any thread, the signals are blocked before the log starts one.

namespace pgkeel::proxy {
namespace {

void put(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
}

/// The first words of a start: there is no log yet.
int refuse(const Error& error) {
    put(fmt::format("pgkeel proxy: {}\n", error.text));
    if (!error.hint.empty()) put(fmt::format("  hint: {}\n", error.hint));
    return error.code == Errc::invalid_input ? 2 : 1;
}

int refuse(const std::vector<config::Problem>& problems) {
    for (const config::Problem& problem : problems)
        refuse({.code = Errc::invalid_input,
                .text = fmt::format("{}: {}", problem.where, problem.text),
                .hint = problem.hint});
    return 2;
}

Result<> check_daemon(const config::PoolerSettings& settings) {
    if (settings.pidfile.empty())
        return fail(Errc::invalid_input, "a daemon needs a pidfile", "set pidfile, or leave -d out");
    if (settings.logfile.empty() && !settings.syslog)
        return fail(Errc::invalid_input, "a daemon needs a log", "set logfile or syslog, or leave -d out");
    return {};
}

/// Warnings of the files join those of the configuration; errors are returned.
std::vector<config::Problem> errors_of_files(config::PoolerConfig& config) {
    std::vector<config::Problem> errors;
    for (config::Problem& problem : check_files(config))
        (problem.tolerated && config.settings.pgbouncer_compat ? config.warnings : errors)
            .push_back(std::move(problem));
    return errors;
}

Result<> claim(const std::string& path, Pidfile& pidfile) {
    if (path.empty()) return {};
    auto claimed = Pidfile::claim(path);
    if (!claimed) return std::unexpected(std::move(claimed.error()));
    pidfile = std::move(*claimed);
    return {};
}

void take_over(const std::string& path, Pidfile& pidfile) {
    if (path.empty()) return;
    pidfile = Pidfile();  // one that we had before would remove the file when it goes
    auto taken = Pidfile::take_over(path);
    if (taken)
        pidfile = std::move(*taken);
    else
        log::warning("{}", taken.error().line());
}

/// The process that serves with this configuration; null: there is none, so we simply start.
Result<std::unique_ptr<Predecessor>> find_predecessor(const config::PoolerSettings& settings) {
    const std::string path = handover_path(settings);
    if (path.empty())
        return fail(Errc::unavailable,
                    "cannot take over: without unix_socket_dir or pidfile the running process is not found",
                    "set one of them; this time stop that process first");
    auto found = Predecessor::ask(path);
    if (found) return found;
    if (found.error().code == Errc::not_found) return nullptr;
    Error error = std::move(found.error());
    if (error.hint.empty()) error.hint = "look into its log; or stop that process, then start without -R";
    error.text = fmt::format("cannot take over from the process at {}, which serves on: {}", path, error.text);
    error.code = Errc::unavailable;  // it is not the configuration that is wrong
    return std::unexpected(std::move(error));
}

/// In the background, when that was asked for.
int run_started(config::PoolerConfig config, Options options, Daemon& daemon, const std::string& limit_warning) {
    Signals signals;
    Pidfile pidfile;
    std::unique_ptr<Predecessor> predecessor;
    if (options.reboot) {
        auto found = find_predecessor(config.settings);
        if (!found) return refuse(found.error());
        predecessor = std::move(*found);
    }
    if (!predecessor)
        if (const auto owned = claim(config.settings.pidfile, pidfile); !owned) return refuse(owned.error());
    if (const auto configured = configure_log(config.settings, options); !configured) return refuse(configured.error());
    options.took_over = [path = config.settings.pidfile, &pidfile, &daemon] {
        take_over(path, pidfile);
        if (const auto started = daemon.started(); !started) log::error("{}", started.error().line());
    };
    // Whoever waits for the start of a takeover waits for its success.
    if (!predecessor)
        if (const auto started = daemon.started(); !started) return refuse(started.error());
    for (const config::Problem& warning : config.warnings) log::warning("{}", warning.line());
    if (!limit_warning.empty()) log::warning("{}", limit_warning);
    if (options.reboot && !predecessor) log::info("nobody to take over from: this is a start as any other");
    const int status = serve(std::move(config), options, signals, std::move(predecessor));
    log::flush();
    return status;
}

}  // namespace

int run_process(const Options& options) {
    // A client or a reader of our log that goes away is an error of that write, not our end.
    std::signal(SIGPIPE, SIG_IGN);
    auto reading = config::read_pooler_file(options.file, config::process_environment());
    if (!reading) return refuse(reading.error());
    if (!reading->errors.empty()) return refuse(reading->errors);
    config::PoolerConfig& config = reading->config;
    if (const auto applied = apply_options(options, config); !applied) return refuse(applied.error());
    if (options.daemon)
        if (const auto can = check_daemon(config.settings); !can) return refuse(can.error());
    const std::string limit_warning = raise_descriptor_limit(descriptors_needed(config));  // root may do more
    if (const auto became = become_user(config.settings.user); !became) return refuse(became.error());
    if (const auto errors = errors_of_files(config); !errors.empty()) return refuse(errors);
    Daemon daemon;
    if (options.daemon) {
        auto begun = Daemon::begin();
        if (!begun) return refuse(begun.error());
        daemon = std::move(*begun);
    }
    const int status = run_started(std::move(config), options, daemon, limit_warning);
    daemon.failed(status);  // unless it has started
    // Threads of what was served may still run: nothing is taken apart under them.
    std::fflush(nullptr);
    _exit(status);
}

}  // namespace pgkeel::proxy
