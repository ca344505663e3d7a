#include "engine/epoll_loop.hpp"
#include "engine/epoll_wire.hpp"
#include "engine/release_memory.hpp"
#include "engine/ring.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

namespace pgkeel::engine {

void EpollWire::put(std::string_view bytes) {
    if (closing_ || write_broken_ || bytes.empty()) return;
    keep_for_later(bytes);
    if (held() || in_flush) return;
    in_flush = true;
    loop_->flush_at_the_end(*this);
}

void EpollWire::pass(std::string_view bytes) {
    if (closing_ || write_broken_ || bytes.empty()) return;
    if (held() || loop_->gathers(state_.unsent.size() + bytes.size())) return put(bytes);
    send(bytes);
}

void EpollWire::flush() {
    if (!closing_ && !write_broken_ && !held() && !state_.unsent.empty()) send_unsent();
}

void EpollWire::keep_for_later(std::string_view bytes) {
    (tls_wanted_ || handshaking_ ? extra().after_handshake : state_.unsent).append(bytes);
}

void EpollWire::send(std::string_view bytes) {
    std::string& unsent = state_.unsent;
    if (unsent.empty()) {
        send_some(bytes);
        if (!bytes.empty() && !write_broken_) unsent.assign(bytes);
        return;
    }
    if (stream() != nullptr) {
        unsent.append(bytes);
        return send_unsent();
    }
    // What was put and what is passed leave together, and nothing is copied when the kernel takes both.
    iovec parts[2] = {{unsent.data(), unsent.size()}, {const_cast<char*>(bytes.data()), bytes.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    ssize_t size;
    do {
        size = ::sendmsg(socket(), &message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno != EAGAIN) return writing_failed(errno == EPIPE ? "" : std::strerror(errno));
    const std::size_t sent = size < 0 ? 0 : static_cast<std::size_t>(size);
    if (sent == unsent.size() + bytes.size()) return release_memory(unsent);
    blocked_ = true;
    writable_ = false;
    if (sent >= unsent.size()) {
        unsent.assign(bytes.substr(sent - unsent.size()));
    } else {
        unsent.erase(0, sent);
        unsent.append(bytes);
    }
}

void EpollWire::send_unsent() {
    std::string_view rest = state_.unsent;
    send_some(rest);
    drop_sent(rest);
}

std::string_view EpollWire::bytes_to_flush() const {
    return closing_ || write_broken_ || held() || stream() != nullptr ? std::string_view() : state_.unsent;
}

void EpollWire::sent_together(int result) {
    if (result == Ring::not_done || result == -EINTR) return;  // flush() will do it
    std::string_view rest = state_.unsent;
    sent(rest, result);
    drop_sent(rest);
}

/// \param rest  the end of what is unsent, which the kernel has not taken
void EpollWire::drop_sent(std::string_view rest) {
    if (rest.empty() || write_broken_)
        release_memory(state_.unsent);
    else
        state_.unsent.erase(0, state_.unsent.size() - rest.size());
}

/// Takes from the front of `bytes` what the kernel takes.
void EpollWire::send_some(std::string_view& bytes) {
    if (TlsStream* const tls = stream()) {
        switch (tls->write(bytes)) {
            case TlsStream::Write::all:
                return;
            case TlsStream::Write::blocked:
                blocked_ = true;
                writable_ = false;
                return;
            case TlsStream::Write::failed:
                return writing_failed(tls->problem());
        }
    }
    if (bytes.empty()) return;
    ssize_t size;
    do {
        size = ::send(socket(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    sent(bytes, size < 0 ? -errno : size);
}

/// \param result  how many bytes of the front were taken, or a negative errno
void EpollWire::sent(std::string_view& bytes, ssize_t result) {
    if (result < 0 && result != -EAGAIN)
        return writing_failed(result == -EPIPE ? "" : std::strerror(static_cast<int>(-result)));
    if (result > 0) bytes.remove_prefix(static_cast<std::size_t>(result));
    if (bytes.empty()) return;
    // A part was taken, or nothing: the kernel is full either way, and tells when it is not.
    blocked_ = true;
    writable_ = false;
}

/// What the other side sent before may still be there, so that the end is told when that has been read.
void EpollWire::writing_failed(std::string problem) {
    write_broken_ = true;
    blocked_ = false;
    readable_ = hangup_ = gone_ = true;
    extra().problem = std::move(problem);
    look_at_it_later();
}

}  // namespace pgkeel::engine
