#include "engine/epoll_wire.hpp"

#include "engine/epoll_loop.hpp"
#include "engine/release_memory.hpp"

#include <chrono>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

using namespace std::chrono_literals;

/// For the rest of what a closed wire has to send, when its peer does not read.
constexpr Duration linger_time = 5s;

}  // namespace

EpollWire::EpollWire(EpollLoop& loop, pool::WireOwner& owner, LooseWire::State state)
    : loop_(&loop), owner_(&owner), state_(std::move(state)) {
    // What came from another loop waits for the edge that every registration begins with.
    blocked_ = !state_.connecting && !state_.unsent.empty();
    readable_ = state_.secured;
    unused_is_new_ = true;
}

WireExtra& EpollWire::extra() const {
    if (!state_.extra) state_.extra = std::make_unique<WireExtra>();
    return *state_.extra;
}

const pool::WireFacts& EpollWire::facts() const {
    std::optional<pool::WireFacts>& facts = extra().facts;
    if (!facts) facts = socket_facts(socket(), state_.unix_socket);
    return *facts;
}

const pool::TlsFacts* EpollWire::tls() const {
    return stream() != nullptr ? &stream()->facts() : nullptr;
}

void EpollWire::on_events(std::uint32_t events) {
    if (dead_) return;
    if ((events & EPOLLOUT) != 0) writable_ = true;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hangup_ = true;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) gone_ = true;
    advance();
}

void EpollWire::look_at_it_later() {
    loop_->queue(*this);
}

void EpollWire::fail_later(std::string problem) {
    failed_ = write_broken_ = true;
    extra().problem = std::move(problem);
    look_at_it_later();
}

void EpollWire::advance() {
    if (dead_ || busy_) return;
    if (closing_) return linger_on();
    if (told_) return;
    if (failed_) return tell_closed(std::exchange(extra().problem, {}));
    if (state_.connecting) {
        finish_connecting();
        if (over() || state_.connecting) return;
    }
    if (blocked_ && writable_) {
        blocked_ = false;
        send_unsent();
        if (!blocked_ && !write_broken_) owner_->drained();
        if (over()) return;
    }
    if (tls_wanted_) return begin_tls();
    if (handshaking_) {
        if (readable_ || (writable_ && step_wants_write_)) take_handshake_step();
        return;
    }
    if (reading_) read();
    if (!over() && !reading_ && hangup_ && !tls_wanted_ && !handshaking_) look_for_the_end();
}

void EpollWire::finish_connecting() {
    if (!writable_ && !gone_) return;
    if (const std::string problem = take_socket_error(socket()); !problem.empty()) return tell_closed(problem);
    if (!writable_) return;
    state_.connecting = false;
    owner_->connected();
    if (!over()) flush();
}

void EpollWire::tell_closed(const std::string& why) {
    told_ = true;
    if (!why.empty()) {
        failed_ = write_broken_ = true;
        extra().problem = why;  // for whoever it is attached to
    }
    owner_->closed(why);
}

void EpollWire::close() {
    if (dead_ || closing_) return;
    closing_ = true;
    if (busy_) return loop_->keep(*this);
    if (!held() && !write_broken_ && !state_.unsent.empty()) send_unsent();
    if (!blocked_ || write_broken_ || gone_) return finish_closing();
    loop_->keep(*this);
    extra().linger_timer = loop_->after(linger_time, [this] {
        ++loop_->count().linger_timeouts;
        write_broken_ = true;
        finish_closing();
    });
}

void EpollWire::linger_on() {
    if (blocked_ && writable_) {
        blocked_ = false;
        send_unsent();
    }
    if (!blocked_ || write_broken_ || gone_) finish_closing();
}

void EpollWire::finish_closing() {
    if (state_.extra && state_.extra->linger_timer != 0) loop_->cancel(state_.extra->linger_timer);
    if (stream() != nullptr && !write_broken_ && !blocked_) stream()->close_notify();
    // Bytes nobody has read make the kernel reset the connection, and the peer might lose our last words.
    if (readable_ && !all_read_ && !gone_ && !state_.unix_socket)
        ::recv(socket(), nullptr, EpollLoop::buffer_size * 16, MSG_TRUNC | MSG_DONTWAIT);
    // With a copy of the socket elsewhere its registration would outlive the wire.
    if (state_.is_shared) loop_->unwatch(socket());
    state_.socket.close();
    bury();
}

void EpollWire::bury() {
    closing_ = dead_ = true;
    owner_ = nullptr;
    loop_->bury(*this);
}

LooseWire EpollWire::leave() {
    auto left = std::make_unique<LooseWire::State>();
    if (busy_ || handshaking_ || tls_wanted_) {
        left->ended = true;
        left->extra = std::make_unique<WireExtra>();
        left->extra->problem = "the connection was handed on in the middle of its TLS handshake";
        close();
        return LooseWire(std::move(left));
    }
    flush();
    loop_->unwatch(socket());
    left->socket = std::move(state_.socket);
    left->unix_socket = state_.unix_socket;
    left->connecting = state_.connecting;
    left->used_any = state_.used_any;
    left->secured = std::exchange(state_.secured, false);
    left->is_shared = state_.is_shared;
    left->ended = failed_;
    left->unsent = std::move(state_.unsent);
    left->extra = std::move(state_.extra);
    // Inside received() its caller still looks at these bytes, and they count as used.
    if (!showing_)
        left->unused = std::move(state_.unused);
    else
        left->used_any = true;
    bury();
    return LooseWire(std::move(left));
}

}  // namespace pgkeel::engine
