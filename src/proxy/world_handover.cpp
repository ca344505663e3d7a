#include "log/log.hpp"
#include "proxy/handover_place.hpp"
#include "proxy/world.hpp"

#include <algorithm>
#include <utility>

// An online restart, as far as all threads have to do with it: what a process does for the one after it, and gets from
// the one before (docs/decisions/0006-online-restart.md).

namespace pgkeel::proxy {

using pool::Client;
using pool::Phase;

void World::wait_for_successor() {
    const std::string path = handover_path(hub_.config()->settings);
    Descriptor socket;
    if (predecessor_) socket = predecessor_->take_handover_socket();
    if (!socket && !path.empty()) {
        const auto opened = engine::open_listener({.host = path, .port = 0}, {.backlog = 8, .unix_mode = 0600});
        if (opened)
            socket = Descriptor(*opened);
        else
            log::warning("no online restart of this process: {}", opened.error().line());
    }
    successor_.wait_at(path, std::move(socket), predecessor_ ? predecessor_->generation() : 0);
}

/// What was done on the console before.
void World::continue_state(const handover::Go& state) {
    const std::scoped_lock lock(hub_.mutex);
    hub_.paused = state.is_paused;
    const auto each = [this](const std::vector<std::string>& names, auto change) {
        for (const std::string& name : names) {
            bool registered = false;
            if (pool::DatabaseRecord* const found = hub_.find_database(name, threads_[0]->now(), registered))
                change(*found);
        }
    };
    each(state.paused, [](pool::DatabaseRecord& database) { database.paused = true; });
    each(state.disabled, [](pool::DatabaseRecord& database) { database.disabled = true; });
}

// ---- for the process after us

std::string World::obstacle_to_successor() const {
    if (hub_.phase != Phase::running) return "the running process is shutting down";
    if (successor_.has_come()) return "the running process has handed over to another one";
    if (predecessor_ && !predecessor_->is_settled()) return "the running process is taking over itself just now";
    return {};
}

void World::rest_for_successor() {
    listeners_.rest();
    if (beside_.stop) beside_.stop();
}

void World::serve_again() {
    if (hub_.phase != Phase::running) return;
    listeners_.start();
    if (beside_.start) beside_.start();
    options_.took_over();
}

void World::look_at_successor() {
    constexpr Duration pace = std::chrono::milliseconds(50);
    if (!successor_.has_come() || ending_) return;
    successor_.look();
    const bool passes_on = predecessor_ && !predecessor_->is_gone();
    if (successor_.is_done() && !passes_on && !has_clients()) {
        log::info("takeover: the last client has gone");
        return end();
    }
    threads_[0]->loop().after(pace, [this] { alone([this] { look_at_successor(); }); });
}

/// Those of the console do not count: they connect again, and then see the process that serves.
bool World::has_clients() const {
    bool any = false;
    for (const auto& thread : threads_)
        thread->worker().each_client([&](const Client& client) { any = any || !client.is_console(); });
    return any;
}

void World::take_back(Departing departing, bool stays) {
    Thread& thread = *threads_[departing.thread];
    thread.loop().post([&thread, stays, departing = std::move(departing)]() mutable {
        thread.take_back(std::move(departing), stays);
    });
}

// ---- for the one before us

void World::give_up() {
    sockets_are_ours_ = false;
    status_ = 1;
    end();
}

// ---- cancel requests that come to the wrong one of them

void World::cancel(std::uint32_t number, std::uint64_t key) {
    threads_[0]->loop().post([this, number, key] {
        if (!threads_[0]->worker().cancel(key, number)) cancels_.pass_on(number, key);
    });
}

void World::dismiss(pool::ClientRef asker) {
    threads_[0]->post(asker.worker, [asker](pool::Worker& worker) { worker.dismiss(asker); });
}

}  // namespace pgkeel::proxy
