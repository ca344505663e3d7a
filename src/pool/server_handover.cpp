#include "pool/server.hpp"
#include "pool/server_login.hpp"
#include "pool/worker.hpp"

#include <utility>

// A server's connection between two processes.

namespace pgkeel::pool {

using pgwire::backend::TransactionStatus;

bool Server::may_depart() const {
    const bool rests = state_ == State::idle || state_ == State::linked;
    if (!rests || !is_quiet() || status_ != TransactionStatus::idle || !opening_.is_ordinary()) return false;
    if (copying_in_ || copying_both_ || swallowing_body_ || ready_now_ || confused_ || is_doubtful_) return false;
    if (release_when_quiet_ || cancels_ > 0 || tested_for_ || !scanner_.at_border()) return false;
    return wire_->tls() == nullptr && !wire_->backed_up();
}

ServerImage Server::image() const {
    ServerImage image;
    image.database = pool_.database->name;
    image.route = pool_.route;
    image.address = address_;
    image.connect_address = connect_address_;
    image.place = place_;
    image.port = port_;
    image.number = number_;
    image.process_id = process_id_;
    image.cancel_key = cancel_key_;
    image.connected_at = connected_at_;
    image.began = began_;
    image.since = since_;
    image.needs_reset = needs_reset_;
    image.must_reset = must_reset_;
    image.settings = settings_.list();
    image.reported = reported_.list();
    for (const StatementRef& statement : statements_.list())
        image.statements.push_back({.client_name = {},
                                    .server_name = statement->server_name,
                                    .query = statement->query,
                                    .types = statement->types});
    return image;
}

OwnedWire Server::depart() {
    state_ = State::gone;
    partner_ = nullptr;
    Orders orders;
    {
        const std::scoped_lock lock(worker_->hub().mutex);
        leave_place();
        worker_->hub().book.gone(id_, worker_->now(), orders);
    }
    OwnedWire wire = std::move(wire_);
    worker_->bury(*this);
    worker_->carry_out(orders);
    return wire;
}

void Server::go_on(const ServerImage& image, OwnedWire wire, Partner* partner) {
    wire_ = std::move(wire);
    partner_ = partner;
    state_ = partner != nullptr ? State::linked : State::idle;
    address_ = image.address;
    connect_address_ = image.connect_address;
    place_ = image.place;
    port_ = image.port;
    number_ = image.number;
    process_id_ = image.process_id;
    cancel_key_ = image.cancel_key;
    connected_at_ = image.connected_at;
    began_ = image.began;
    since_ = image.since;
    needs_reset_ = image.needs_reset;
    must_reset_ = image.must_reset;
    settings_ = worker_->shared_settings().share(to_settings(image.settings));
    reported_ = worker_->shared_settings().share(to_settings(image.reported));
    for (const StatementImage& statement : image.statements) {
        // A text that has another name here is prepared again under that one; the old one ends with the connection.
        StatementRef known = worker_->hub().statements.of(statement.query, statement.types, statement.server_name);
        if (known->server_name == statement.server_name) statements_.keep(std::move(known));
    }
}

}  // namespace pgkeel::pool
