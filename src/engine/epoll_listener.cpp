#include "engine/epoll_listener.hpp"

#include "engine/epoll_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

using namespace std::chrono_literals;

/// Of one turn: a flood of new clients leaves time for those who are there.
constexpr int accepts_max = 64;
/// Without descriptors the kernel goes on to report the clients that wait: not to ask is the only way to rest.
constexpr Duration pause_without_descriptors = 100ms;

}  // namespace

EpollListener::EpollListener(EpollLoop& loop, int socket, std::function<void(int)> accepted)
    : loop_(loop), socket_(socket), accepted_(std::move(accepted)) {
    if (const int flags = ::fcntl(socket, F_GETFL); flags >= 0) ::fcntl(socket, F_SETFL, flags | O_NONBLOCK);
    watch();
}

void EpollListener::watch() {
    // Level, not edge: what the turn's limit left waits for the next turn. Exclusive: of several loops that listen on
    // one unix socket, one wakes.
    loop_.watch(socket_, EPOLLIN | EPOLLEXCLUSIVE, *this);
}

void EpollListener::on_events(std::uint32_t) {
    // Not until the kernel says that there is nobody left: it calls again if there is, and when clients come one by one
    // that question would be every second accept. In turn after turn they come by the dozen.
    const std::uint64_t turn = loop_.count().turns;
    burst_ = turn - std::exchange(last_turn_, turn) > 1 ? 1 : std::min(burst_ * 2, accepts_max);
    for (int i = 0; i < burst_ && !stopped_; ++i) {
        const int client = ::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            ++loop_.count().accepted;
            accepted_(client);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return pause();
        if (errno == EAGAIN || errno == EBADF || errno == EINVAL) return;
        // Else that client has gone already, or its network has (accept(2)): the next one may be fine.
    }
}

void EpollListener::pause() {
    ++loop_.count().accept_pauses;
    loop_.unwatch(socket_);
    resume_timer_ = loop_.after(pause_without_descriptors, [this] {
        resume_timer_ = 0;
        watch();
    });
}

void EpollListener::stop() {
    stopped_ = true;
    if (resume_timer_ != 0)
        loop_.cancel(resume_timer_);
    else
        loop_.unwatch(socket_);
}

}  // namespace pgkeel::engine
