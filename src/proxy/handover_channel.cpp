#include "proxy/handover_channel.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;

constexpr Duration for_ever = std::chrono::hours(24 * 365 * 100);

/// Who made the other end: of a listening socket, whoever has called listen().
Result<> check_peer(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return fail(Errc::unavailable, fmt::format("SO_PEERCRED: {}", std::strerror(errno)));
    if (peer.uid == 0 || peer.uid == ::geteuid()) return {};
    return fail(Errc::denied,
                fmt::format("the other process belongs to user {}, this one to {}", peer.uid, ::geteuid()),
                "run both as the same user");
}

/// False: the time is over.
bool wait_for(int socket, short events, Deadline deadline) {
    for (;;) {
        const Duration rest = deadline - Boottime::now();
        if (rest <= Duration::zero()) return false;
        const auto ms = std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(rest).count(), 60'000);
        pollfd watched{.fd = socket, .events = events, .revents = 0};
        if (::poll(&watched, 1, static_cast<int>(ms)) > 0) return true;
    }
}

std::unexpected<Error> broken(const char* what) {
    return fail(Errc::unavailable, fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

Result<HandoverChannel> HandoverChannel::connect(const std::string& path) {
    const auto address = engine::socket_address({.host = path, .port = 0});
    if (!address) return std::unexpected(address.error());
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return broken("socket");
    if (::connect(socket.number(), address->get(), address->size) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return fail(Errc::not_found, fmt::format("nobody listens on {}", path));
        return fail(Errc::unavailable, fmt::format("cannot connect to {}: {}", path, std::strerror(errno)));
    }
    if (auto ours = check_peer(socket.number()); !ours) return std::unexpected(std::move(ours.error()));
    return HandoverChannel(std::move(socket));
}

Result<HandoverChannel> HandoverChannel::accept(int listening_socket) {
    Descriptor socket(::accept4(listening_socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return broken("accept");
    if (auto ours = check_peer(socket.number()); !ours) return std::unexpected(std::move(ours.error()));
    return HandoverChannel(std::move(socket));
}

void HandoverChannel::shut() const {
    ::shutdown(socket_.number(), SHUT_RDWR);
}

Result<> HandoverChannel::send(const HandoverFrame& frame, Duration within) {
    const auth::SecretText bytes = encode(frame.message, frame.sockets.size());
    if (bytes.size() > handover_body_max) return fail(Errc::invalid_input, "too much for one frame");
    std::string_view rest = bytes.reveal();
    const Deadline deadline = Boottime::now() + within;
    const std::lock_guard lock(sending_);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(handover_sockets_max * sizeof(int))> control{};
    bool has_sent = false;
    while (!rest.empty()) {
        iovec part{const_cast<char*>(rest.data()), rest.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (!has_sent && !frame.sockets.empty()) {
            message.msg_control = control.data();
            message.msg_controllen = CMSG_SPACE(frame.sockets.size() * sizeof(int));
            cmsghdr* const head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(frame.sockets.size() * sizeof(int));
            for (std::size_t i = 0; i < frame.sockets.size(); ++i) {
                const int number = frame.sockets[i].number();
                std::memcpy(CMSG_DATA(head) + i * sizeof number, &number, sizeof number);
            }
        }
        const ssize_t size = ::sendmsg(socket_.number(), &message, MSG_NOSIGNAL);
        if (size > 0) {
            has_sent = true;
            rest.remove_prefix(static_cast<std::size_t>(size));
            continue;
        }
        if (errno == EINTR) continue;
        // So many descriptors are on their way: the other side will have taken some.
        if (errno == ETOOMANYREFS && Boottime::now() < deadline) {
            ::usleep(10'000);
            continue;
        }
        if (errno != EAGAIN) return broken("the other process does not listen any more");
        if (!wait_for(socket_.number(), POLLOUT, deadline)) {
            shut();
            return fail(Errc::timed_out, "the other process takes nothing");
        }
    }
    return {};
}

Result<std::optional<HandoverFrame>> HandoverChannel::receive(std::optional<Duration> within) {
    const Deadline deadline = Boottime::now() + within.value_or(for_ever);
    std::array<char, HandoverHead::bytes> first{};
    const auto is_there = fill(first.data(), first.size(), deadline);
    if (!is_there) return std::unexpected(is_there.error());
    if (!*is_there) return std::nullopt;
    const auto head = decode_handover_head({first.data(), first.size()});
    if (!head) return std::unexpected(head.error());
    std::vector<char, auth::WipingAllocator<char>> body(head->body_bytes);
    const auto is_whole = fill(body.data(), body.size(), deadline);
    if (!is_whole) return std::unexpected(is_whole.error());
    if (!*is_whole || received_.size() < head->sockets)
        return fail(Errc::unavailable, "the other process has ended in the middle of a word");
    auto message = decode_handover_body(head->kind, {body.data(), body.size()});
    if (!message) return std::unexpected(std::move(message.error()));
    HandoverFrame frame{.message = std::move(*message), .sockets = {}};
    const auto end = received_.begin() + head->sockets;
    frame.sockets.assign(std::make_move_iterator(received_.begin()), std::make_move_iterator(end));
    received_.erase(received_.begin(), end);
    return frame;
}

/// False: it was closed before the first byte, or there.
Result<bool> HandoverChannel::fill(char* into, std::size_t bytes, Deadline deadline) {
    while (bytes > 0) {
        if (!wait_for(socket_.number(), POLLIN, deadline)) return fail(Errc::timed_out, "no answer in time");
        alignas(cmsghdr) std::array<char, CMSG_SPACE(16 * sizeof(int))> control{};
        iovec part{into, bytes};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(socket_.number(), &message, MSG_CMSG_CLOEXEC);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (size < 0 && errno == ECONNRESET) return false;
        if (size < 0) return broken("nothing comes from the other process");
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
            const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int number = -1;
                std::memcpy(&number, CMSG_DATA(head) + i * sizeof number, sizeof number);
                received_.emplace_back(number);
            }
        }
        if ((message.msg_flags & MSG_CTRUNC) != 0)
            return fail(Errc::unavailable, "descriptors were lost on the way: this process may have no more of them",
                        "raise the limit of open files");
        if (size == 0) return false;
        into += size;
        bytes -= static_cast<std::size_t>(size);
    }
    return true;
}

}  // namespace pgkeel::proxy
