#include "pool/client.hpp"
#include "pool/client_login.hpp"
#include "pool/worker.hpp"

#include <utility>

// A client's session between two processes.

namespace pgkeel::pool {

bool Client::may_depart() const {
    const bool rests = state_ == State::idle ? server_ == nullptr : state_ == State::active && server_ != nullptr;
    if (!rests || stays_ || console_ || opening_ || !has_entered_ || wants_ || is_held_back_) return false;
    if (in_query() || in_transaction() || !scanner_.at_border()) return false;
    if (wire_->tls() != nullptr || wire_->backed_up()) return false;
    // What they leave behind when they are executed is not known by their names alone.
    return server_ == nullptr || (!portals_ && !unnamed_effects_ && server_->may_depart());
}

ClientImage Client::image() const {
    ClientImage image;
    image.database = database_->name;
    image.user = user_->name;
    image.listener = *listener_;
    image.mode = mode_;
    image.cancel_key = cancel_key_;
    image.number = number_;
    image.connected_at = connected_at_;
    image.began = began_;
    image.since = since_;
    image.settings = settings_.list();
    image.login_settings = login_settings_.list();
    statements_.each([&](const std::string& name, const StatementRef& statement, bool in_doubt) {
        image.statements.push_back({.client_name = name,
                                    .server_name = statement->server_name,
                                    .query = statement->query,
                                    .types = statement->types,
                                    .in_doubt = in_doubt});
    });
    image.pins = pins();
    return image;
}

OwnedWire Client::depart() {
    state_ = State::gone;
    leave_hub();
    server_ = nullptr;
    OwnedWire wire = std::move(wire_);
    worker_.bury(*this);
    return wire;
}

void Client::resume(const ClientImage& image, DatabaseRecord& database, UserRecord& user, PoolRecord& pool) {
    Hub& hub = worker_.hub();
    login_.reset();
    database_ = &database;
    user_ = &user;
    pool_ = &pool;
    mode_ = image.mode;
    number_ = image.number;
    cancel_key_ = image.cancel_key;
    connected_at_ = image.connected_at;
    began_ = image.began;
    since_ = image.since;
    if (cancel_key_ != 0) hub.cancel_keys[cancel_key_] = ref_;
    ++hub.clients;
    ++database_->clients;
    ++user_->clients;
    ++pool_->clients;
    counted_ = has_entered_ = true;
    for (const StatementImage& statement : image.statements) {
        statements_.add(statement.client_name,
                        hub.statements.of(statement.query, statement.types, statement.server_name));
        if (statement.in_doubt) statements_.doubt(statement.client_name);
    }
    settings_ = worker_.shared_settings().share(to_settings(image.settings));
    login_settings_ = worker_.shared_settings().share(to_settings(image.login_settings));
    if (!image.pins.none()) session().pin(image.pins);
    stats_ = &worker_.stats(*pool_);
}

void Client::go_on(OwnedWire wire, Server* server) {
    wire_ = std::move(wire);
    server_ = server;
    state_ = server != nullptr ? State::active : State::idle;
}

}  // namespace pgkeel::pool
