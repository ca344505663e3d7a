#include "pool/worker.hpp"

#include <fmt/format.h>

#include <utility>

// Sessions that leave for another process, and those that come from one.

namespace pgkeel::pool {
namespace {

LoginImage login_of(const UserRecord& user) {
    LoginImage login;
    login.user = user.name;
    if (user.keys) login.keys = *user.keys;
    login.shown = user.shown;
    if (user.queried) login.queried = user.queried->text();
    return login;
}

/// What this process has learned itself is newer.
void learn(UserRecord& user, const LoginImage& login) {
    if (!user.keys && login.keys) user.keys = std::make_shared<const auth::PassThrough>(*login.keys);
    if (user.shown.empty()) user.shown = login.shown;
    if (!user.queried && !login.queried.empty())
        if (auto secret = auth::Secret::parse(login.queried.reveal())) user.queried = std::move(*secret);
}

}  // namespace

// ---- away

void Worker::offer_all() {
    std::vector<ClientRef> clients;
    each_client([&](const Client& client) { clients.push_back(client.ref()); });
    for (const ClientRef ref : clients)
        if (Client* const found = client(ref)) offer(*found);
    offer_servers(nullptr);
}

/// Of this pool; null: of all.
void Worker::offer_servers(const PoolRecord* pool) {
    std::vector<ServerId> servers;
    each_server([&](const Server& server) {
        if (pool == nullptr || &server.pool() == pool) servers.push_back(server.id());
    });
    for (const ServerId id : servers)
        if (Server* const found = server(id)) offer(*found);
}

void Worker::offer_later(ClientRef ref) {
    surroundings_.post(id_, [ref](Worker& self) {
        if (Client* const client = self.client(ref); client != nullptr && self.leaving_) self.offer(*client);
    });
}

void Worker::offer_later(ServerId id) {
    surroundings_.post(id_, [id](Worker& self) {
        if (Server* const server = self.server(id); server != nullptr && self.leaving_) self.offer(*server);
    });
}

bool Worker::offer(Client& client) {
    if (!client.may_depart()) return false;
    Server* const server = client.server();
    const PoolRecord* const pool = client.pool();
    SessionImage image;
    {
        const std::scoped_lock lock(hub_.mutex);
        image.client = client.image();
        image.client->login = login_of(*client.pool()->user);
        if (server != nullptr) {
            // It may have been ordered to be closed under its client.
            if (!hub_.book.is(server->id(), Book::Server::State::active)) return false;
            image.server = image_of(*server);
        }
    }
    OwnedWire client_wire = client.depart();
    OwnedWire server_wire;
    if (server != nullptr) server_wire = server->depart();
    surroundings_.depart(std::move(image), std::move(client_wire), std::move(server_wire));
    offer_servers(pool);  // one that it needed may be spare now
    return true;
}

/// Under the mutex.
ServerImage Worker::image_of(const Server& server) const {
    const PoolRecord& pool = server.pool();
    const Book::Server& known = hub_.book.server(server.id());
    ServerImage image = server.image();
    image.login = login_of(*pool.user);
    image.origin = server_origin(*config_, pool.database->entry);
    image.epoch = known.epoch;
    image.is_old = known.close_when_released.has_value();
    if (pool.welcome) image.welcome = pool.welcome->reported;
    return image;
}

/// An idle one that nobody here can need.
bool Worker::offer(Server& server) {
    if (server.state() != Server::State::idle || !server.may_depart()) return false;
    SessionImage image;
    {
        const std::scoped_lock lock(hub_.mutex);
        // Else it was given to somebody, and the order is on its way.
        if (!hub_.book.is(server.id(), Book::Server::State::idle)) return false;
        // Who is still here shall not have to connect anew.
        const Book::Counts counts = hub_.book.counts(server.pool().id);
        if (counts.idle + counts.active <= server.pool().clients) return false;
        image.server = image_of(server);
    }
    OwnedWire wire = server.depart();
    surroundings_.depart(std::move(image), nullptr, std::move(wire));
    return true;
}

// ---- here

/// The records that a session belongs to.
struct Worker::Places {
    DatabaseRecord* database = nullptr;
    UserRecord* user = nullptr;  ///< of the client
    PoolRecord* pool = nullptr;
};

/// Under the mutex.
Result<Worker::Places> Worker::find_places(const SessionImage& image) {
    const std::string& name = image.client ? image.client->database : image.server->database;
    Places places;
    bool registered = false;
    places.database = hub_.find_database(name, now(), registered);
    if (places.database == nullptr) return fail(Errc::not_found, fmt::format("there is no database {}", name));
    const config::DatabaseEntry& entry = places.database->entry;
    if (image.client) {
        if (hub_.cancel_keys.contains(image.client->cancel_key))
            return fail(Errc::conflict, "a client with its cancel key is here");
        places.user = &hub_.user(image.client->user);
        UserRecord& server_user = entry.user.empty() ? *places.user : hub_.user(entry.user);
        places.pool =
            &hub_.pool(*places.database, server_user, hub_.route_of(*places.database, image.client->listener.route));
    }
    if (!image.server) return places;
    const ServerImage& server = *image.server;
    const std::string& server_user = entry.user.empty() ? server.login.user : entry.user;
    const bool is_routed = config_->follows_cluster && entry.hosts.empty();
    if (server.origin != server_origin(*config_, entry) || server.login.user != server_user ||
        is_routed != (server.route != config::Route::configured))
        return fail(Errc::denied, fmt::format("the servers of database {} are others now", name));
    PoolRecord& pool = hub_.pool(*places.database, hub_.user(server_user), server.route);
    if (places.pool == nullptr) places.pool = &pool;
    if (places.pool != &pool) return fail(Errc::denied, "its server is of another pool now");
    if (auto may = hub_.book.may_admit(pool.id, server.epoch, image.client.has_value()); !may)
        return std::unexpected(std::move(may.error()));
    return places;
}

/// Under the mutex.
void Worker::know_welcome(PoolRecord& pool, const std::vector<Setting>& reported) {
    if (pool.welcome || reported.empty()) return;
    auto welcome = std::make_shared<Welcome>();
    welcome->reported = reported;
    for (const Setting& setting : reported)
        if (tracks(setting.name)) welcome->tracked = welcome->tracked.with(setting.name, setting.value);
    pool.welcome = std::move(welcome);
}

Result<> Worker::admit(const SessionImage& image, const config::Listener& listener, Arrival arrival) {
    Result<Places> places;
    {
        const std::scoped_lock lock(hub_.mutex);
        places = find_places(image);
    }
    if (!places) return std::unexpected(std::move(places.error()));
    if (!arrival.confirm()) return fail(Errc::cancelled, "the other process does not know that it was taken");
    Client* client = nullptr;
    if (image.client) client = &make_client(listener);
    Orders orders;
    std::optional<ServerId> server_id;
    {
        const std::scoped_lock lock(hub_.mutex);
        hub_.numbers = std::max(hub_.numbers.load(), image.client ? image.client->number : image.server->number);
        learn(*places->pool->user, image.client ? image.client->login : image.server->login);
        if (client != nullptr) client->resume(*image.client, *places->database, *places->user, *places->pool);
        if (image.server) {
            const auto admitted =
                hub_.book.admit(places->pool->id, id_, image.server->epoch, client != nullptr, now(), orders);
            if (admitted) server_id = *admitted;
            if (server_id && image.server->is_old) hub_.book.close_when_released(*server_id, CloseReason::asked);
            know_welcome(*places->pool, image.server->welcome);
            if (server_id && !image.server->place.empty()) ++places->pool->servers_at[image.server->place];
        }
    }
    Server* server = nullptr;
    if (server_id) {
        auto& made = servers_[*server_id];
        made = std::make_unique<Server>(*this, *server_id, *places->pool, Server::Opening{});
        server = made.get();
        server->go_on(*image.server, arrival.server(*server), client);
    }
    if (client != nullptr) {
        client->go_on(arrival.client(*client), server);
        if (arrival.stays) client->stay();
    }
    carry_out(orders);
    return {};
}

bool Worker::cancel(std::uint64_t key, std::uint32_t asker) {
    std::optional<ClientRef> meant;
    {
        const std::scoped_lock lock(hub_.mutex);
        if (const auto found = hub_.cancel_keys.find(key); found != hub_.cancel_keys.end()) meant = found->second;
    }
    if (meant) cancel(*meant, {.worker = other_process, .id = asker});
    return meant.has_value();
}

}  // namespace pgkeel::pool
