#include "agent/systemd.hpp"

#include "log/log.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

namespace pgkeel::agent {
namespace {

std::string take_variable(const char* name) {
    const char* value = std::getenv(name);
    std::string text = value != nullptr ? value : "";
    unsetenv(name);
    return text;
}

std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number <= 0) return std::nullopt;
    return number;
}

/// A socket that only talks to `path`; a leading '@' means the abstract name space (unix(7)). Errors: -1, and errno.
int connect_to(const std::string& path) {
    sockaddr_un address{};
    if (path.size() < 2 || (path[0] != '/' && path[0] != '@') || path.size() >= sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -1;
    // An abstract name ends where the length says, a path with its zero.
    const std::size_t length = offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1);
    if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length)) == 0)
        return descriptor;
    const int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
    ServiceManager manager;
    const std::string path = take_variable("NOTIFY_SOCKET");
    const auto interval = number_in(take_variable("WATCHDOG_USEC"));
    const std::string pid = take_variable("WATCHDOG_PID");
    if (path.empty()) return manager;
    manager.socket_ = connect_to(path);
    if (manager.socket_ < 0) {
        log::warning("cannot reach the service manager at {}: {}", path, std::strerror(errno));
        return manager;
    }
    if (interval && (pid.empty() || number_in(pid) == getpid()))
        manager.watchdog_interval_ = std::chrono::microseconds(*interval);
    return manager;
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      watchdog_interval_(std::exchange(other.watchdog_interval_, std::nullopt)) {}

ServiceManager& ServiceManager::operator=(ServiceManager&& other) noexcept {
    std::swap(socket_, other.socket_);
    std::swap(watchdog_interval_, other.watchdog_interval_);
    return *this;
}

ServiceManager::~ServiceManager() {
    if (socket_ >= 0) close(socket_);
}

void ServiceManager::ready() {
    send("READY=1");
}

void ServiceManager::reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", std::int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000));
}

void ServiceManager::stopping() {
    send("STOPPING=1");
}

void ServiceManager::alive() {
    if (watchdog_interval_) send("WATCHDOG=1");
}

void ServiceManager::send(const std::string& message) const {
    if (socket_ < 0) return;
    if (::send(socket_, message.data(), message.size(), MSG_NOSIGNAL) < 0)
        log::warning("could not tell the service manager '{}': {}", message.substr(0, message.find('\n')),
                     std::strerror(errno));
}

}  // namespace pgkeel::agent
