#include "engine/epoll_loop.hpp"
#include "engine/epoll_wire.hpp"
#include "engine/release_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

/// One wire takes no more than this in a turn while others wait.
constexpr std::size_t turn_bytes_max = 256 * 1024;

}  // namespace

void EpollWire::start_reading() {
    if (over()) return;
    reading_ = true;
    unused_is_new_ = true;
    if (showing_ || readable_ || hangup_ || !state_.unused.empty()) look_at_it_later();
}

void EpollWire::read() {
    if (unused_is_new_) {
        unused_is_new_ = false;
        if (!state_.unused.empty()) show(state_.unused);
    }
    std::size_t budget = turn_bytes_max;
    while (reading_ && readable_ && !over() && !failed_ && !tls_wanted_ && !handshaking_) {
        if (budget == 0) return loop_->queue_for_next_turn(*this);
        read_once(budget);
    }
}

/// Receives behind what is unused already, and shows both. Little of it is moved to the front of the common buffer, so
/// that messages which come in pieces need no memory of their own while they are looked at; much stays where it is.
void EpollWire::read_once(std::size_t& budget) {
    std::string& unused = state_.unused;
    const std::size_t before = unused.size();
    std::size_t got = 0;
    Input outcome;
    if (before <= EpollLoop::buffer_size / 2) {
        char* const buffer = loop_->buffer();
        std::memcpy(buffer, unused.data(), before);
        outcome = receive(buffer + before, EpollLoop::buffer_size - before, got);
        if (got > 0) show({buffer, before + got});
    } else {
        unused.resize_and_overwrite(before + EpollLoop::buffer_size, [&](char* bytes, std::size_t) {
            outcome = receive(bytes + before, EpollLoop::buffer_size, got);
            return before + got;
        });
        if (got > 0) show(unused);
    }
    budget -= std::min(budget, got);
    if (over()) return;
    if (outcome == Input::failed) return tell_closed(std::string(extra().problem));
    // A wire that cannot send has ended with the last byte that came, whatever the kernel thinks of it.
    if (outcome == Input::end || (outcome == Input::nothing && write_broken_))
        tell_closed(write_broken_ ? std::string(extra().problem) : std::string());
}

void EpollWire::show(std::string_view bytes) {
    showing_ = true;
    const std::size_t used = owner_->received(bytes);
    showing_ = false;
    if (dead_ || closing_) return;
    if (used > bytes.size()) std::abort();  // an owner that cannot count has corrupted the stream
    state_.used_any = state_.used_any || used > 0;
    std::string& unused = state_.unused;
    if (used == bytes.size())
        release_memory(unused);
    else if (bytes.data() == unused.data())
        unused.erase(0, used);
    else
        unused.assign(bytes.substr(used));
    if (tls_wanted_) begin_tls();
}

/// `readable_` stays until the kernel has said that there is no more. After a hang-up a short read does not say that:
/// the end came with the bytes, and its event has been seen.
EpollWire::Input EpollWire::receive(char* into, std::size_t room, std::size_t& got) {
    if (TlsStream* const tls = stream()) {
        tls->expect_input(hangup_);
        while (got < room) {
            std::size_t record = 0;
            switch (tls->read(into + got, room - got, record)) {
                case TlsStream::Read::data:
                    got += record;
                    continue;
                case TlsStream::Read::nothing:
                    readable_ = false;
                    return got > 0 ? Input::more : Input::nothing;
                case TlsStream::Read::end:
                    return got > 0 ? Input::more : Input::end;  // the next read says it again
                case TlsStream::Read::failed:
                    if (got == 0) {
                        extra().problem = tls->problem();
                        return Input::failed;
                    }
                    fail_later(tls->problem());
                    readable_ = false;
                    return Input::more;
            }
        }
        return Input::more;
    }
    ssize_t size;
    do {
        size = ::recv(socket(), into, room, 0);
    } while (size < 0 && errno == EINTR);
    if (size > 0) {
        got = static_cast<std::size_t>(size);
        all_read_ = got < room && hangup_;
        if (got < room && !hangup_) readable_ = false;
        return Input::more;
    }
    if (size == 0) return Input::end;
    if (errno == EAGAIN) {
        readable_ = false;
        return Input::nothing;
    }
    extra().problem = std::strerror(errno);
    return Input::failed;
}

/// Reading is stopped, and the other side has hung up: who waits for something has to know that nobody is there any
/// more. But bytes that came before the end are read first.
void EpollWire::look_for_the_end() {
    if (gone_) {
        std::string problem = take_socket_error(socket());
        if (problem.empty() && write_broken_) problem = extra().problem;
        return tell_closed(problem);
    }
    if (!state_.unused.empty()) return;
    if (TlsStream* const tls = stream()) {
        tls->expect_input(true);
        const TlsStream::Read found = tls->look();
        if (found == TlsStream::Read::end) tell_closed({});
        if (found == TlsStream::Read::failed) tell_closed(tls->problem());
        return;
    }
    char byte;
    const ssize_t size = ::recv(socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size == 0) tell_closed({});
    if (size < 0 && errno != EAGAIN && errno != EINTR) tell_closed(std::strerror(errno));
}

}  // namespace pgkeel::engine
