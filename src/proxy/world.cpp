#include "proxy/world.hpp"

#include "log/log.hpp"
#include "proxy/commands.hpp"
#include "proxy/facts.hpp"
#include "proxy/io_engine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace pgkeel::proxy {

using pool::Client;
using pool::Phase;

Result<TlsContexts> load_tls(const config::PoolerSettings& settings) {
    auto client_side = engine::client_side_context(engine::client_tls(settings));
    if (!client_side) return std::unexpected(std::move(client_side.error()));
    auto server_side = engine::server_side_context(engine::server_tls(settings));
    if (!server_side) return std::unexpected(std::move(server_side.error()));
    return TlsContexts{.client_side = std::move(*client_side), .server_side = std::move(*server_side)};
}

World::World(std::shared_ptr<const config::PoolerConfig> config, std::shared_ptr<const pool::Access> access,
             TlsContexts tls, Options options, auth::MockVerifiers mocks)
    : options_(std::move(options)),
      tls_(std::move(tls)),
      hub_(std::move(config), std::move(access), std::move(mocks)) {}

World::~World() = default;

Result<> World::prepare(std::unique_ptr<Predecessor> predecessor) {
    const auto config = hub_.config();
    std::int64_t count = config->settings.threads;
    if (count <= 0) count = std::max(1U, std::thread::hardware_concurrency());
    auto loops = make_loops(config->settings.io_engine, static_cast<std::size_t>(count));
    if (!loops) return std::unexpected(std::move(loops.error()));
    for (auto& loop : *loops) {
        const auto id = static_cast<pool::WorkerId>(threads_.size());
        threads_.push_back(std::make_unique<Thread>(*this, id, std::move(loop)));
        threads_.back()->worker().set_config(config);
    }
    predecessor_ = std::move(predecessor);
    if (predecessor_) hub_.statements.begin_generation(predecessor_->generation());
    return listeners_.open(*config,
                           predecessor_ ? predecessor_->take_listeners() : std::vector<Listeners::Inherited>());
}

Result<> World::begin() {
    if (predecessor_) {
        if (auto committed = predecessor_->commit(); !committed) {
            sockets_are_ours_ = false;
            return committed;
        }
        continue_state(predecessor_->state());
    }
    listeners_.start();
    wait_for_successor();
    return {};
}

/// With the threads at rest.
void World::stop_listening(bool unix_socket, bool tcp) {
    if (!sockets_are_ours_ || successor_.has_come()) return listeners_.leave();
    listeners_.close(unix_socket, tcp);
    if (unix_socket) successor_.close();
}

int World::run(Signals& signals) {
    signals.on([this](int signal) { alone([this, signal] { take_signal(signal); }); });
    counted_at_ = threads_[0]->now();
    threads_[0]->loop().after(hub_.config()->settings.stats_period, [this] { count_averages(); });
    for (std::size_t i = 1; i < threads_.size(); ++i) threads_[i]->start();
    if (predecessor_) predecessor_->receive_for(*this);
    threads_[0]->run();
    signals.on(nullptr);
    for (const auto& thread : threads_) thread->loop().stop();
    for (const auto& thread : threads_) thread->join();
    stop_listening(true, true);
    return status_;
}

// ---- one at a time

void World::alone(std::move_only_function<void()> job) {
    threads_[0]->loop().post([this, job = std::move(job)]() mutable { rest_and_run(job); });
}

void World::rest_and_run(std::move_only_function<void()>& job) {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t resting = 0;
    bool over = false;
    for (std::size_t i = 1; i < threads_.size(); ++i)
        threads_[i]->loop().post([&] {
            std::unique_lock lock(mutex);
            ++resting;
            changed.notify_all();
            changed.wait(lock, [&] { return over; });
            --resting;
            changed.notify_all();
        });
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return resting == threads_.size() - 1; });
    }
    job();
    std::unique_lock lock(mutex);
    over = true;
    changed.notify_all();
    changed.wait(lock, [&] { return resting == 0; });
}

void World::run_command(pool::ClientRef who, console::Command command) {
    alone([this, who, command = std::move(command)] {
        Commands::Outcome outcome = Commands(*this).run(command);
        if (outcome.result.error || !outcome.wait_for) return answer(who, std::move(outcome.result));
        waiting_.push_back({who, std::move(outcome.wait_for)});
        look_at_waiting_commands();
    });
}

void World::answer(pool::ClientRef who, CommandResult result) {
    threads_[0]->post(who.worker, [who, result = std::move(result)](pool::Worker& worker) mutable {
        if (Client* const client = worker.client(who); client != nullptr && client->is_console())
            static_cast<ConsoleSession&>(client->console()).answer(std::move(result));
    });
}

void World::give_up_waiting(pool::ClientRef who) {
    alone([this, who] { std::erase_if(waiting_, [&](const Waiting& each) { return each.who == who; }); });
}

void World::look_at_waiting_commands() {
    constexpr Duration pace = std::chrono::milliseconds(20);
    std::vector<Waiting> still;
    for (Waiting& each : waiting_) {
        if (each.is_over())
            answer(each.who, {});
        else
            still.push_back(std::move(each));
    }
    waiting_ = std::move(still);
    if (!waiting_.empty() && !std::exchange(looking_, true))
        threads_[0]->loop().after(pace, [this] {
            alone([this] {
                looking_ = false;
                look_at_waiting_commands();
            });
        });
}

// ---- what changes

Result<> World::load_tls_of(const config::PoolerConfig& config) {
    auto loaded = load_tls(config.settings);
    if (!loaded) {
        log::error("TLS setup failed: {}", loaded.error().line());
        return std::unexpected(std::move(loaded.error()));
    }
    tls_ = std::move(*loaded);
    return {};
}

void World::use(std::shared_ptr<const config::PoolerConfig> config) {
    pool::Orders orders;
    hub_.apply(config, threads_[0]->now(), orders);
    for (const auto& thread : threads_) thread->worker().set_config(config);
    threads_[0]->worker().carry_out(orders);
    const pgwire::backend::Report removed{.severity = pgwire::backend::Severity::fatal,
                                          .sqlstate = "57P01",
                                          .message = "database removed",
                                          .detail = {},
                                          .hint = {}};
    for (const auto& thread : threads_) {
        std::vector<Client*> homeless;
        thread->worker().each_client([&](Client& client) {
            if (client.database() != nullptr && client.database()->removed) homeless.push_back(&client);
        });
        for (Client* const client : homeless) client->end(removed);
    }
}

console::Counters World::averages_of(const std::string& database) const {
    const auto found = counted_.find(database);
    return found == counted_.end() ? console::Counters{} : found->second.averages;
}

void World::count_averages() {
    alone([this] {
        const Instant now = threads_[0]->now();
        const Duration between = now - std::exchange(counted_at_, now);
        console::Counters before, after;
        for (const auto& [database, counted] : counters(*this)) {
            Counted& known = counted_[database];
            known.averages = console::averages(known.before, counted, between);
            if (database != "pgbouncer") {
                before = before + known.before;
                after = after + counted;
            }
            known.before = counted;
        }
        const console::Counters a = console::averages(before, after, between);
        if (hub_.config()->settings.log_stats)
            log::info(
                "stats: {} xacts/s, {} queries/s, {} client parses/s, {} server parses/s, {} binds/s, {} client "
                "logins/s, in {} B/s, out {} B/s, xact {} us, query {} us, wait {} us",
                a.transactions, a.queries, a.client_parses, a.server_parses, a.binds, a.client_logins, a.bytes_received,
                a.bytes_sent, a.transaction_time_us, a.query_time_us, a.wait_time_us);
    });
    threads_[0]->loop().after(hub_.config()->settings.stats_period, [this] { count_averages(); });
}

// ---- the end

void World::take_signal(int signal) {
    const bool ends = hub_.phase != Phase::running;
    Commands commands(*this);
    switch (signal) {
        case SIGHUP:
            log::info("got SIGHUP, re-reading config");
            if (const auto done = commands.reload(); !done) log::error("{}", done.error().line());
            return;
        case SIGTERM:
            log::info("got SIGTERM, {}", ends ? "shutting down at once" : "shutting down when the clients have gone");
            return ends ? end() : shut_down(Phase::waiting_for_clients);
        case SIGINT:
            log::info("got SIGINT, {}", ends ? "shutting down at once" : "shutting down when the servers are released");
            return ends ? end() : shut_down(Phase::waiting_for_servers);
        case SIGQUIT:
            log::info("got SIGQUIT, fast exit");
            return end();
        case SIGUSR1:
            log::info("got SIGUSR1, pausing all activity");
            if (const auto done = commands.pause({}); !done) log::error("{}", done.error().line());
            return;
        case SIGUSR2:
            if (ends) return log::info("got SIGUSR2 while shutting down, ignoring");
            log::info("got SIGUSR2, continuing from PAUSE");
            if (const auto done = commands.resume({}); !done) log::error("{}", done.error().line());
            return;
        default:
            return;
    }
}

void World::shut_down(Phase phase) {
    if (hub_.phase != Phase::running) return;
    hub_.phase = phase;
    if (predecessor_) predecessor_->farewell();
    stop_listening(false, true);
    if (phase == Phase::waiting_for_servers) {
        for (const auto& thread : threads_) {
            std::vector<Client*> waiting;
            thread->worker().each_client([&](Client& client) {
                if (client.wants()) waiting.push_back(&client);
            });
            for (Client* const client : waiting) client->end(pool::shutting_down);
        }
    }
    end_if_over();
}

void World::end_if_over() {
    constexpr Duration pace = std::chrono::milliseconds(50);
    bool over = true;
    for (const auto& thread : threads_)
        thread->worker().each_client([&](Client& client) {
            if (hub_.phase == Phase::waiting_for_servers ? client.server() != nullptr
                                                         : !client.is_console() && client.has_logged_in())
                over = false;
        });
    if (over) return end();
    threads_[0]->loop().after(pace, [this] { alone([this] { end_if_over(); }); });
}

void World::end() {
    hub_.phase = Phase::ending;
    if (std::exchange(ending_, true)) return;
    if (predecessor_ && sockets_are_ours_) predecessor_->farewell();
    stop_listening(true, true);
    threads_[0]->loop().stop();
}

}  // namespace pgkeel::proxy
