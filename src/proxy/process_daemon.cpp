#include "proxy/process_daemon.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pgkeel::proxy {
namespace {

std::unexpected<Error> no_background(const char* call) {
    return fail(Errc::process_failed, fmt::format("cannot go to the background: {}: {}", call, std::strerror(errno)));
}

/// What the child tells; 1 when it ends without a word.
int status_from(int pipe_end) {
    unsigned char status = 1;
    while (read(pipe_end, &status, 1) < 0 && errno == EINTR) {
    }
    return status;
}

}  // namespace

Result<Daemon> Daemon::begin() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return no_background("pipe");
    const pid_t first = fork();
    if (first < 0) return no_background("fork");
    if (first > 0) {
        close(ends[1]);
        const int status = status_from(ends[0]);
        while (waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
        }
        _exit(status);
    }
    close(ends[0]);
    setsid();
    // Not the leader of its session, so that no terminal that it opens becomes its own.
    const pid_t second = fork();
    if (second < 0) return no_background("fork");
    if (second > 0) _exit(0);
    return Daemon(ends[1]);
}

Daemon::Daemon(Daemon&& other) noexcept : parent_(std::exchange(other.parent_, -1)) {}

Daemon& Daemon::operator=(Daemon&& other) noexcept {
    std::swap(parent_, other.parent_);
    return *this;
}

Daemon::~Daemon() {
    if (parent_ >= 0) close(parent_);
}

Result<> Daemon::started() {
    if (parent_ < 0) return {};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return fail(Errc::io_error, fmt::format("cannot open /dev/null: {}", std::strerror(errno)));
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, stream);
    close(null);
    tell(0);
    return {};
}

void Daemon::failed(int status) {
    if (parent_ >= 0) tell(status);
}

void Daemon::tell(int status) {
    const auto byte = static_cast<unsigned char>(status);
    (void)!write(parent_, &byte, 1);
    close(std::exchange(parent_, -1));
}

}  // namespace pgkeel::proxy
