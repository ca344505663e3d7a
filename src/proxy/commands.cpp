#include "proxy/commands.hpp"

#include "config/pooler_compare.hpp"
#include "config/pooler_settings.hpp"
#include "config/source.hpp"
#include "console/session.hpp"
#include "log/log.hpp"
#include "proxy/access.hpp"
#include "proxy/facts.hpp"
#include "proxy/process_log.hpp"

#include <fmt/format.h>

#include <utility>

namespace pgkeel::proxy {

using pgwire::backend::Report;
using pgwire::backend::Severity;
using pool::Client;
using pool::DatabaseRecord;

namespace {

Report closed_by_admin(const char* text) {
    return {.severity = Severity::fatal, .sqlstate = "57P01", .message = text, .detail = {}, .hint = {}};
}

}  // namespace

Result<DatabaseRecord*> Commands::find(const std::string& name) {
    bool registered = false;
    DatabaseRecord* const found = hub_.find_database(name, now(), registered);
    if (found == nullptr) return fail(Errc::not_found, fmt::format("no such database: {}", name));
    return found;
}

/// The one of that name, or all.
Result<std::vector<DatabaseRecord*>> Commands::meant(const std::string& name) {
    std::vector<DatabaseRecord*> databases;
    if (name.empty()) {
        for (const auto& [key, record] : hub_.databases) databases.push_back(record.get());
        return databases;
    }
    auto found = find(name);
    if (!found) return std::unexpected(std::move(found.error()));
    databases.push_back(*found);
    return databases;
}

Result<> Commands::reload() {
    auto fresh = config::load_pooler_config(world_.options().file, config::process_environment());
    if (!fresh) return std::unexpected(std::move(fresh.error()));
    for (const config::Problem& warning : fresh->warnings) log::warning("{}: {}", warning.where, warning.text);
    if (auto applied = apply_options(world_.options(), *fresh); !applied) return applied;
    auto next = std::make_shared<const config::PoolerConfig>(config::reloaded(*hub_.config(), std::move(*fresh)));
    auto access = load_access(*next);
    if (!access) return std::unexpected(std::move(access.error()));
    if (auto tls = world_.load_tls_of(*next); !tls) return tls;
    if (const auto logging = configure_log(next->settings, world_.options()); !logging) return logging;
    hub_.apply(std::move(*access));
    world_.use(std::move(next));
    if (world_.on_reload_) world_.on_reload_();
    return {};
}

Result<> Commands::set(const std::string& name, const std::string& value) {
    config::PoolerConfig changed = *hub_.config();
    const auto done = config::change_pooler_setting(changed.settings, name, value);
    if (!done) return std::unexpected(done.error());
    auto next = std::make_shared<const config::PoolerConfig>(std::move(changed));
    if (name.starts_with("auth_")) {
        auto access = load_access(*next);
        if (!access) return std::unexpected(std::move(access.error()));
        hub_.apply(std::move(*access));
    }
    // One file after the other is set, and only together they fit. What does not fit is logged, and the old stay in
    // use.
    if (name.contains("tls") && world_.load_tls_of(*next)) log::debug("TLS is set up again");
    if (name == "verbose") log::set_verbosity(static_cast<int>(next->settings.verbose));
    world_.use(std::move(next));
    return {};
}

Result<> Commands::pause(const std::string& name) {
    if (hub_.phase != pool::Phase::running) return fail(Errc::conflict, "pooler is shutting down");
    if (name.empty() && (hub_.paused || world_.is_suspended())) return fail(Errc::conflict, "already suspended/paused");
    auto databases = meant(name);
    if (!databases) return std::unexpected(std::move(databases.error()));
    if (name.empty()) hub_.paused = true;
    pool::Orders orders;
    for (DatabaseRecord* const database : *databases) {
        if (!name.empty()) database->paused = true;
        for (const pool::PoolRecord* const each : database->pools) {
            hub_.book.pause(each->id);
            hub_.book.renew(each->id, pool::CloseReason::asked, now(), orders);
        }
    }
    carry_out(orders);
    return {};
}

Result<> Commands::resume(const std::string& name) {
    if (hub_.phase != pool::Phase::running) return fail(Errc::conflict, "pooler is shutting down");
    if (name.empty() && !hub_.paused && !world_.is_suspended()) {
        // One database alone may be paused.
        return fail(Errc::conflict, "pooler is not paused/suspended");
    }
    auto databases = meant(name);
    if (!databases) return std::unexpected(std::move(databases.error()));
    if (!name.empty() && !databases->front()->paused)
        return fail(Errc::conflict, fmt::format("database {} is not paused", name));
    if (name.empty()) {
        hub_.paused = false;
        world_.set_suspended(false);
    }
    pool::Orders orders;
    for (DatabaseRecord* const database : *databases) {
        if (!name.empty()) database->paused = false;
        if (database->paused || hub_.paused) continue;
        for (const pool::PoolRecord* const each : database->pools) hub_.book.resume(each->id, now(), orders);
    }
    carry_out(orders);
    return {};
}

std::function<bool()> Commands::is_paused(const std::string& name) {
    return [this_world = &world_, name] {
        pool::Hub& hub = this_world->hub();
        for (const auto& [key, record] : hub.databases) {
            if (!name.empty() && key != name) continue;
            for (const pool::PoolRecord* const each : record->pools) {
                const auto counts = hub.book.counts(each->id);
                if (counts.active + counts.idle + counts.logging_in > 0) return false;
            }
        }
        return true;
    };
}

Result<> Commands::reconnect(const std::string& name) {
    auto databases = meant(name);
    if (!databases) return std::unexpected(std::move(databases.error()));
    pool::Orders orders;
    for (const DatabaseRecord* const database : *databases)
        for (pool::PoolRecord* const each : database->pools) {
            each->failure.reset();
            hub_.book.renew(each->id, pool::CloseReason::asked, now(), orders);
        }
    carry_out(orders);
    if (hub_.config()->settings.server_fast_close) close_resting(name);
    return {};
}

/// A client in session mode would keep its server for ever: both go, if nothing is under way.
void Commands::close_resting(const std::string& name) {
    for (const auto& thread : world_.threads()) {
        std::vector<pool::Server*> resting;
        thread->worker().each_server([&](pool::Server& server) {
            const bool is_meant = name.empty() || server.pool().database->name == name;
            if (is_meant && server.state() == pool::Server::State::linked && server.opening().is_ordinary() &&
                server.is_quiet() && server.status() == pgwire::backend::TransactionStatus::idle)
                resting.push_back(&server);
        });
        for (pool::Server* const server : resting) server->fail(closed_by_admin("database configuration changed"));
    }
}

std::function<bool()> Commands::is_renewed(const std::string& name) {
    return [this_world = &world_, name] {
        pool::Hub& hub = this_world->hub();
        bool all_gone = true;
        for (const auto& [key, record] : hub.databases) {
            if (!name.empty() && key != name) continue;
            for (const pool::PoolRecord* const each : record->pools)
                hub.book.each_server([&](pool::ServerId, const pool::Book::Server& server) {
                    const bool old = server.close_when_released || server.state == pool::Book::Server::State::closing;
                    if (server.pool == each->id && old && !server.dedicated_to) all_gone = false;
                });
        }
        return all_gone;
    };
}

Result<> Commands::kill(const std::string& name) {
    auto databases = meant(name);
    if (!databases) return std::unexpected(std::move(databases.error()));
    if (name.empty()) hub_.paused = true;
    pool::Orders orders;
    for (DatabaseRecord* const database : *databases) {
        if (!name.empty()) database->paused = true;
        for (const pool::PoolRecord* const each : database->pools) hub_.book.pause(each->id);
    }
    for (const auto& thread : world_.threads()) {
        std::vector<Client*> clients;
        std::vector<pool::Server*> servers;
        thread->worker().each_client([&](Client& client) {
            if (!client.is_console() && client.database() != nullptr &&
                (name.empty() || client.database()->name == name))
                clients.push_back(&client);
        });
        for (Client* const client : clients) client->end(closed_by_admin("database removed or killed by the console"));
        thread->worker().each_server([&](pool::Server& server) {
            if (name.empty() || server.pool().database->name == name) servers.push_back(&server);
        });
        for (pool::Server* const server : servers) server->end("kill");
    }
    carry_out(orders);
    return {};
}

Result<> Commands::kill_client(std::uint64_t number) {
    for (const auto& thread : world_.threads()) {
        Client* found = nullptr;
        thread->worker().each_client([&](Client& client) {
            if (client.number() == number) found = &client;
        });
        if (found == nullptr) continue;
        found->end(closed_by_admin("admin forced disconnect"));
        return {};
    }
    return fail(Errc::not_found, "client not found");
}

Result<> Commands::enable(const std::string& name, bool enabled) {
    auto database = find(name);
    if (!database) return std::unexpected(std::move(database.error()));
    (*database)->disabled = !enabled;
    return {};
}

Commands::Outcome Commands::run(const console::Command& command) {
    using console::Kind;
    Outcome outcome;
    Result<> done;
    switch (command.kind) {
        case Kind::set:
            done = set(command.argument, command.value);
            break;
        case Kind::reload:
            log::info("RELOAD command issued");
            if (done = reload(); !done) {
                log::error("{}", done.error().line());
                log::flush();  // the answer tells people to look there
                outcome.result.error = Report{.severity = Severity::error,
                                              .sqlstate = console::sqlstate_reload_failed,
                                              .message = "RELOAD failed, see logs for additional details",
                                              .detail = {},
                                              .hint = {}};
                return outcome;
            }
            break;
        case Kind::pause:
            if (done = pause(command.argument); done) outcome.wait_for = is_paused(command.argument);
            break;
        case Kind::resume:
            done = resume(command.argument);
            break;
        case Kind::reconnect:
            done = reconnect(command.argument);
            break;
        case Kind::wait_close:
            if (auto databases = meant(command.argument); databases)
                outcome.wait_for = is_renewed(command.argument);
            else
                done = std::unexpected(std::move(databases.error()));
            break;
        case Kind::kill:
            done = kill(command.argument);
            break;
        case Kind::kill_client:
            done = kill_client(command.client_id);
            break;
        case Kind::disable:
        case Kind::enable:
            done = enable(command.argument, command.kind == Kind::enable);
            break;
        case Kind::suspend:
            if (done = pause({}); done) {
                world_.set_suspended(true);
                outcome.wait_for = [] { return true; };
            }
            break;
        case Kind::shutdown:
            log::info("SHUTDOWN command issued");
            world_.end();
            break;
        case Kind::shutdown_wait_for_servers:
            log::info("SHUTDOWN WAIT_FOR_SERVERS command issued");
            world_.shut_down(pool::Phase::waiting_for_servers);
            break;
        case Kind::shutdown_wait_for_clients:
            log::info("SHUTDOWN WAIT_FOR_CLIENTS command issued");
            world_.shut_down(pool::Phase::waiting_for_clients);
            break;
        default:
            outcome.result.table = show(world_, command);
    }
    if (!done) outcome.result.error = console::report_of(done.error());
    return outcome;
}

}  // namespace pgkeel::proxy
