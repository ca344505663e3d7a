#include "agent/agent.hpp"

#include "agent/assembly.hpp"
#include "agent/systemd.hpp"
#include "async/event.hpp"
#include "async/spawn.hpp"
#include "log/log.hpp"
#include "process/memory.hpp"
#include "process/reaper.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <malloc.h>
#include <csignal>
#include <cstdio>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

/// The first words of a start: nothing is logged to files yet.
int refuse(const Error& error) {
    fmt::print(stderr, "pgkeel agent: {}\n", error.text);
    if (!error.hint.empty()) fmt::print(stderr, "  hint: {}\n", error.hint);
    return error.code == Errc::invalid_input || error.code == Errc::not_found ? 2 : 1;
}

Task<> watch_signals(Assembly& assembly, ServiceManager& manager) {
    asio::signal_set signals(co_await asio::this_coro::executor, SIGTERM, SIGINT, SIGHUP);
    while (true) {
        const int signal = co_await signals.async_wait(asio::use_awaitable);
        if (signal == SIGHUP) {
            manager.reloading();
            assembly.reload();
            manager.ready();
            continue;
        }
        log::info("received {}: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
        manager.stopping();
        assembly.shut_down();
    }
}

/// systemd's watchdog hears from us only while the loop of the node comes round.
Task<> feed_watchdog(Assembly& assembly, ServiceManager& manager, Clock& clock) {
    while (manager.watchdog_interval()) {
        if (assembly.node().is_alive()) manager.alive();
        co_await clock.sleep_for(*manager.watchdog_interval() / 3);
    }
}

/// Orphans of PostgreSQL come to pid 1, which is the agent in a container without an init.
Task<> reap_as_init() {
    asio::signal_set signals(co_await asio::this_coro::executor, SIGCHLD);
    while (true) {
        reap_orphans();
        co_await signals.async_wait(asio::use_awaitable);
    }
}

/// Keeps resident what is used, not what the start or an election has touched. What is used again comes back by minor
/// faults.
Task<> stay_small(Clock& clock) {
    while (true) {
        co_await clock.sleep_for(30s);
        release_unused_pages();
    }
}

Task<> live(Assembly& assembly, ServiceManager& manager, asio::io_context& loop, int& status) {
    if (const auto ready = co_await assembly.prepare(); !ready) {
        if (ready.error().code == Errc::cancelled) {
            log::info("{}", ready.error().line());
        } else {
            log::critical("{}", ready.error().line());
            status = 1;
        }
        loop.stop();
        co_return;
    }
    manager.ready();
    if (const auto ended = co_await assembly.node().run(); !ended) {
        log::critical("{}", ended.error().line());
        status = 1;
    }
    co_await assembly.finish();
    loop.stop();
}

}  // namespace

int run_agent(const std::string& path) {
    mallopt(M_ARENA_MAX, 1);  // one heap for all threads: they allocate little, and each heap keeps pages of its own
    // Who reads our log through a pipe may go away. The primary would go on without anybody who watches it.
    std::signal(SIGPIPE, SIG_IGN);
    ServiceManager manager = ServiceManager::from_environment();
    config::Environment environment = config::process_environment();
    auto config = config::load_agent_config(path, environment);
    if (!config) return refuse(config.error());
    for (const auto& [name, value] : environment)
        if (name.starts_with("PATRONI_")) unsetenv(name.c_str());  // they hold secrets, which are not for children
    if (const auto configured = log::configure(config->log); !configured) return refuse(configured.error());
    for (const std::string& warning : config->warnings) log::warning("{}", warning);

    asio::io_context loop(1);
    BoottimeClock clock(loop.get_executor());
    auto assembly = Assembly::create(loop.get_executor(), std::move(*config), path, std::move(environment));
    if (!assembly) return refuse(assembly.error());
    int status = 0;
    spawn(loop.get_executor(), "signals", watch_signals(**assembly, manager));
    spawn(loop.get_executor(), "watchdog", feed_watchdog(**assembly, manager, clock));
    spawn(loop.get_executor(), "memory", stay_small(clock));
    if (getpid() == 1) spawn(loop.get_executor(), "reaper", reap_as_init());
    spawn(loop.get_executor(), "agent", live(**assembly, manager, loop, status));
    loop.run();
    log::flush();
    // The sockets, threads and coroutines end with the process; PostgreSQL does not.
    _exit(status);
}

int check_agent_config(const std::string& path) {
    const auto config = config::load_agent_config(path, config::process_environment());
    if (!config) return refuse(config.error());
    for (const std::string& warning : config->warnings) fmt::print(stderr, "warning: {}\n", warning);
    fmt::print("{}: node {} of cluster {}: no errors\n", path, config->name, config->scope);
    return 0;
}

}  // namespace pgkeel::agent
