#include "engine/ring.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <utility>

#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

/// The first set of flags that the kernel knows. SUBMIT_ALL (5.18): a send that fails does not hold up those
/// behind it. COOP_TASKRUN (5.19): the kernel does not interrupt us to tell of something, since we ask.
int set_up(io_uring& ring) {
    int error = -EINVAL;
    for (const unsigned flags : {IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, IORING_SETUP_SUBMIT_ALL, 0U}) {
        io_uring_params parameters{};
        parameters.flags = flags;
        error = io_uring_queue_init_params(Ring::capacity, &ring, &parameters);
        if (error != -EINVAL) break;
    }
    return error;
}

bool knows_send(io_uring& ring) {
    io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
    if (probe == nullptr) return false;
    const bool known = io_uring_opcode_supported(probe, IORING_OP_SEND) != 0;
    io_uring_free_probe(probe);
    return known;
}

std::unexpected<Error> not_available(int error) {
    const auto refused = [error](const char* hint) {
        return fail(Errc::unavailable, fmt::format("io_uring cannot be used: {}", std::strerror(error)), hint);
    };
    switch (error) {
        case ENOSYS:
        case EOPNOTSUPP:
            return refused("it needs Linux 5.6 or later: set io_engine = epoll");
        case EPERM:
        case EACCES:
            return refused(
                "the host (sysctl kernel.io_uring_disabled) or the container (its seccomp profile) forbids it: allow "
                "it there, or set io_engine = epoll");
        case ENOMEM:
            return refused("raise the limit on locked memory (ulimit -l, LimitMEMLOCK=), or set io_engine = epoll");
        case EMFILE:
        case ENFILE:
            return refused("raise the limit on open files (ulimit -n, LimitNOFILE=)");
        default:
            return refused("set io_engine = epoll");
    }
}

}  // namespace

Result<std::unique_ptr<Ring>> Ring::create() {
    std::unique_ptr<Ring> made(new Ring);
    if (const int error = set_up(made->ring_); error < 0) return not_available(-error);
    made->usable_ = true;
    if (!knows_send(made->ring_)) return not_available(EOPNOTSUPP);
    return made;
}

Ring::~Ring() {
    close();
}

void Ring::close() {
    if (usable_) io_uring_queue_exit(&ring_);
    usable_ = false;
}

void Ring::send(int socket, std::string_view bytes) {
    io_uring_sqe* const entry = usable_ && !is_full() ? io_uring_get_sqe(&ring_) : nullptr;
    if (entry == nullptr) std::abort();  // the queue has as many entries as sends are let in
    io_uring_prep_send(entry, socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    entry->user_data = count_;
    results_[count_++] = not_done;
}

std::span<const int> Ring::run() {
    taken_ = 0;
    // Once, nearly always: the results are there when the kernel has looked at all of them.
    while (taken_ < count_) {
        const int submitted = io_uring_submit_and_wait(&ring_, static_cast<unsigned>(count_ - taken_));
        take_results();
        if (submitted >= 0 || submitted == -EINTR) continue;
        // Entries that were not taken would be done later, with memory that is somebody else's by then.
        close();
        break;
    }
    return {results_.data(), std::exchange(count_, 0)};
}

void Ring::take_results() {
    io_uring_cqe* entry = nullptr;
    unsigned head = 0, seen = 0;
    io_uring_for_each_cqe(&ring_, head, entry) {
        results_[entry->user_data] = entry->res;
        ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    taken_ += seen;
}

}  // namespace pgkeel::engine
