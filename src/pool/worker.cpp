#include "pool/worker.hpp"

#include "log/log.hpp"
#include "pgwire/frontend_builders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// Who is on this thread, and what the book has ordered for them.

namespace pgkeel::pool {

using pgwire::backend::Report;
using pgwire::backend::Severity;

namespace {

constexpr std::uint32_t place_bits = 20;
constexpr std::uint32_t place_mask = (1U << place_bits) - 1;

const char* to_string(CloseReason reason) {
    switch (reason) {
        case CloseReason::evicted:
            return "evicted";
        case CloseReason::asked:
            return "obsolete connection";
        case CloseReason::changed:
            return "database configuration changed";
        case CloseReason::lifetime:
            return "server lifetime over";
        case CloseReason::idle_timeout:
            return "server idle timeout";
        case CloseReason::dedicated:
            return "replication client was closed";
        case CloseReason::older_epoch:
            return "the primary has been deposed";
    }
    return "";
}

std::string cancel_request_for(const Server& server) {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_cancel_request(writer, server.process_id(), server.cancel_key());
    return message;
}

}  // namespace

Client& Worker::accept(const config::Listener& listener, std::move_only_function<OwnedWire(WireOwner&)> wire) {
    Client& client = make_client(listener);
    client.begin(wire(client));
    return client;
}

Client& Worker::make_client(const config::Listener& listener) {
    if (free_places_.empty()) {
        free_places_.push_back(static_cast<std::uint32_t>(clients_.size()));
        clients_.emplace_back();
    }
    const std::uint32_t place = free_places_.back();
    free_places_.pop_back();
    const ClientRef ref{id_, place | ++clients_[place].uses << place_bits};
    clients_[place].session = std::make_unique<Client>(*this, ref, listener);
    return *clients_[place].session;
}

Client* Worker::client(ClientRef ref) {
    const std::uint32_t place = ref.id & place_mask;
    if (ref.worker != id_ || place >= clients_.size()) return nullptr;
    Client* const found = clients_[place].session.get();
    return found != nullptr && found->ref() == ref && found->state() != Client::State::gone ? found : nullptr;
}

Server* Worker::server(ServerId id) {
    const auto found = servers_.find(id);
    return found == servers_.end() || found->second->state() == Server::State::gone ? nullptr : found->second.get();
}

Stats& Worker::stats(const PoolRecord& pool) {
    Stats& stats = stats_[static_cast<std::uint32_t>(pool.id)];
    if (!stats.latencies) stats.latencies = std::make_unique<Stats::Latencies>();
    return stats;
}

bool Worker::is_proven(const PoolRecord& pool, const Settings& settings) const {
    return std::ranges::find(proven_, std::pair(pool.id, settings)) != proven_.end();
}

void Worker::prove(const PoolRecord& pool, const Settings& settings) {
    constexpr std::size_t most = 64;
    if (is_proven(pool, settings)) return;
    if (proven_.size() >= most) proven_.erase(proven_.begin());
    proven_.emplace_back(pool.id, settings);
}

bool Worker::tracks(std::string_view name) const {
    static constexpr std::string_view always[] = {"client_encoding", "DateStyle", "TimeZone",
                                                  "standard_conforming_strings", "application_name"};
    const auto is_it = [&](std::string_view other) { return equal_without_case(name, other); };
    return std::ranges::any_of(always, is_it) || std::ranges::any_of(config_->settings.track_extra_parameters, is_it);
}

std::optional<Report> Worker::refusal(const PoolRecord& pool) const {
    if (hub_.phase == Phase::waiting_for_servers || hub_.phase == Phase::ending) return shutting_down;
    if (!pool.failure) return std::nullopt;
    const Book::Counts counts = hub_.book.counts(pool.id);
    if (counts.idle + counts.active > 0) return std::nullopt;
    if (now() - pool.failed_at >= config_->settings.server_login_retry) return std::nullopt;
    Report report = *pool.failure;
    report.detail = fmt::format("server login has been failing, cached error: {} (server_login_retry)", report.message);
    report.message = std::exchange(report.detail, "");
    return report;
}

// ---- ends

void Worker::bury(Client& client) {
    const std::uint32_t place = client.ref().id & place_mask;
    dead_clients_.push_back(std::move(clients_[place].session));
    free_places_.push_back(place);
    order_burial();
}

void Worker::bury(Server& server) {
    const auto found = servers_.find(server.id());
    if (found == servers_.end() || found->second.get() != &server) return;
    dead_servers_.push_back(std::move(found->second));
    servers_.erase(found);
    order_burial();
}

/// Not now: their own code may be running.
void Worker::order_burial() {
    if (std::exchange(burial_ordered_, true)) return;
    surroundings_.post(id_, [](Worker& self) {
        self.burial_ordered_ = false;
        // Whoever goes may release a server, and that may end others.
        const auto servers = std::exchange(self.dead_servers_, {});
        const auto clients = std::exchange(self.dead_clients_, {});
        std::erase_if(self.cancels_, [](const auto& call) { return call->is_over(); });
    });
}

// ---- orders

void Worker::carry_out(Orders& orders) {
    for (const Order& order : orders) {
        if (order.worker == id_)
            perform(order, false);
        else
            surroundings_.post(order.worker, [order](Worker& worker) { worker.perform(order, true); });
    }
    orders.clear();
}

void Worker::perform(const Order& order, bool late) {
    switch (order.kind) {
        case Order::Kind::open:
            return open(order);
        case Order::Kind::link:
            return link(order, late);
        case Order::Kind::close:
            return close(order);
        case Order::Kind::move:
            // Not at once: who gave the server back may be reading from it still, and must not do so beside the
            // thread that has it next.
            return surroundings_.post(id_, [order](Worker& self) { self.move(order); });
    }
}

void Worker::open(const Order& order) {
    PoolRecord* pool = nullptr;
    std::optional<ClientRef> dedicated;
    {
        const std::scoped_lock lock(hub_.mutex);
        if (!hub_.book.is(order.server, Book::Server::State::login)) {
            // It was closed before it was begun.
            Orders more;
            if (hub_.book.is(order.server, Book::Server::State::closing)) hub_.book.gone(order.server, now(), more);
            return;
        }
        dedicated = hub_.book.server(order.server).dedicated_to;
        for (const auto& [key, record] : hub_.pools)
            if (record->id == order.pool) pool = record.get();
    }
    Server::Opening opening;
    if (dedicated)
        if (const Client* client = this->client(*dedicated); client != nullptr) opening = client->server_opening();
    if (order.from_reserve)
        log::info("P-{}: {}/{} taking connection from reserve_pool", fmt::ptr(pool), pool->database->name,
                  pool->user->name);
    auto& server = servers_[order.server];
    server = std::make_unique<Server>(*this, order.server, *pool, std::move(opening));
    server->start();
}

void Worker::link(const Order& order, bool late) {
    Server* const found = server(order.server);
    Client* const wanting = client(order.client);
    if (late || found == nullptr) {
        const std::scoped_lock lock(hub_.mutex);
        if (!hub_.book.is(order.server, Book::Server::State::active) || found == nullptr ||
            found->state() != Server::State::idle) {
            // It has gone while the order was on its way.
            if (wanting != nullptr && wanting->wants())
                surroundings_.post(id_, [ref = order.client](Worker& self) {
                    if (Client* const client = self.client(ref)) client->want_again();
                });
            return;
        }
    }
    if (wanting == nullptr || !wanting->wants()) return found->release();
    const config::PoolerSettings& settings = config_->settings;
    const bool rested = now() - found->since() > settings.server_check_delay && !settings.server_check_query.empty() &&
                        found->opening().is_ordinary();
    if (rested)
        found->test_for(order.client);
    else
        found->link(wanting->partner());
}

void Worker::close(const Order& order) {
    if (Server* const found = server(order.server)) {
        {
            const std::scoped_lock lock(hub_.mutex);
            if (!hub_.book.is(order.server, Book::Server::State::closing)) return;
        }
        if (order.reason == CloseReason::older_epoch)
            return found->fail({Severity::fatal, "57P01", "terminating connection: the primary has been deposed", "",
                                "connect again: there is, or will be, a new primary"});
        return found->end(to_string(order.reason));
    }
    // On its way to us, perhaps.
    const std::scoped_lock lock(hub_.mutex);
    if (!hub_.book.is(order.server, Book::Server::State::closing)) return;
    surroundings_.post(hub_.book.server(order.server).worker, [order](Worker& worker) { worker.perform(order, true); });
}

void Worker::move(const Order& order) {
    const auto found = servers_.find(order.server);
    if (found == servers_.end() || found->second->state() != Server::State::idle) {
        surroundings_.post(order.client.worker, [order](Worker& worker) { worker.link(order, true); });
        return;
    }
    auto server = std::move(found->second);
    servers_.erase(found);
    {
        const std::scoped_lock lock(hub_.mutex);
        hub_.book.moved(order.server, order.client.worker);
    }
    OwnedWire wire = server->take_wire();
    surroundings_.hand_over(std::move(wire), order.client.worker,
                            [server = std::move(server), order](Worker& worker, Surroundings::Attach attach) mutable {
                                worker.arrive(std::move(server), order, std::move(attach));
                            });
}

void Worker::arrive(std::unique_ptr<Server> server, const Order& order, Surroundings::Attach attach) {
    Server& here = *server;
    servers_[order.server] = std::move(server);
    here.now_on(*this, attach(here));
    link(order, true);
}

void Worker::refuse(ClientRef client, const Report& why) {
    surroundings_.post(client.worker, [client, why](Worker& worker) {
        Client* const found = worker.client(client);
        if (found == nullptr || !found->wants()) return;
        found->forget_waiter();
        found->partner().refused(why);
    });
}

// ---- cancel requests

CancelCall::CancelCall(Worker& worker, std::optional<ServerId> server, ClientRef asker, std::string message)
    : worker_(worker), server_(server), asker_(asker), message_(std::move(message)), began_(worker.now()) {}

void CancelCall::closed(const std::string&) {
    wire_.reset();
    over_ = true;
    worker_.cancel_is_over(*this);
}

void CancelCall::give_up() {
    given_up_ = true;
    closed("cancel_wait_timeout");
}

void Worker::cancel(ClientRef client, ClientRef asker) {
    surroundings_.post(client.worker, [client, asker](Worker& worker) { worker.cancel_here(client, asker); });
}

void Worker::cancel_here(ClientRef ref, ClientRef asker) {
    Client* const meant = client(ref);
    Server* const server = meant != nullptr ? meant->server() : nullptr;
    if (meant != nullptr && meant->is_console()) meant->console_interrupt();
    // A query that is over must not be cancelled: the signal would hit the next one.
    if (server == nullptr || server->is_quiet() || server->works_for_itself()) {
        if (meant != nullptr && meant->state() == Client::State::waiting)
            meant->end(
                {Severity::fatal, "57014", "canceling statement due to user request", "it waited for a server", ""});
        return dismiss(asker);
    }
    server->cancel_begins();
    cancels_.push_back(std::make_unique<CancelCall>(*this, server->id(), asker, cancel_request_for(*server)));
    CancelCall& call = *cancels_.back();
    call.send(surroundings_.connect(server->connect_address(), server->port(), call));
}

void Worker::pass_on(const config::PeerEntry& peer, std::uint32_t first, std::string_view rest, ClientRef asker) {
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_cancel_request(writer, first, rest);
    const auto port = static_cast<std::uint16_t>(peer.port);
    surroundings_.resolve(peer.host, port, [this, port, asker, message](Result<std::string> address) {
        if (!address) return dismiss(asker);
        cancels_.push_back(std::make_unique<CancelCall>(*this, std::nullopt, asker, message));
        cancels_.back()->send(surroundings_.connect(*address, port, *cancels_.back()));
    });
}

void Worker::cancel_is_over(const CancelCall& call) {
    dismiss(call.asker());
    // The number may be another server's by now.
    if (Server* const found = call.server() ? server(*call.server()) : nullptr;
        found != nullptr && cancel_request_for(*found) == call.message())
        found->cancel_ends(!call.was_given_up());
    order_burial();
}

void Worker::dismiss(ClientRef asker) {
    if (asker.worker == other_process) return surroundings_.cancelled(asker.id);
    surroundings_.post(asker.worker, [asker](Worker& worker) {
        if (Client* const found = worker.client(asker)) found->leave("");
    });
}

}  // namespace pgkeel::pool
