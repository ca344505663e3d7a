#include "proxy/pidfile.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace pgkeel::proxy {
namespace {

/// The id in the file; 0 when there is no file, or an empty one.
Result<pid_t> named_process(const std::string& path) {
    // O_NONBLOCK: a FIFO must not hold the start up.
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && errno == ENOENT) return 0;
    if (descriptor < 0)
        return fail(Errc::io_error, fmt::format("cannot read pidfile {}: {}", path, std::strerror(errno)));
    std::array<char, 64> buffer{};
    const ssize_t length = read(descriptor, buffer.data(), buffer.size());
    const int problem = errno;
    close(descriptor);
    if (length < 0)
        return fail(Errc::io_error, fmt::format("cannot read pidfile {}: {}", path, std::strerror(problem)));
    if (length == 0) return 0;
    pid_t pid = 0;
    const char* end = buffer.data() + length;
    const auto parsed = std::from_chars(buffer.data(), end, pid);
    if (parsed.ec != std::errc{} || pid <= 0 || (parsed.ptr != end && *parsed.ptr != '\n'))
        return fail(Errc::invalid_input, fmt::format("{} holds no process id, so it is no pidfile", path),
                    "is the setting pidfile right? then remove the file");
    return pid;
}

/// Dead, and nobody has waited for it: with a pid 1 that reaps no orphans it stays so. See proc(5), /proc/pid/stat.
bool is_zombie(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/stat", pid));
    std::string line;
    std::getline(in, line);
    const auto end_of_name = line.rfind(") ");
    return end_of_name != std::string::npos && line.substr(end_of_name + 2, 1) == "Z";
}

bool lives(pid_t pid) {
    return (kill(pid, 0) == 0 || errno != ESRCH) && !is_zombie(pid);
}

/// Whole or not at all: who reads it never sees half a number.
Result<> write_own_id(const std::string& path) {
    const auto failed = [&path] {
        return fail(Errc::io_error, fmt::format("cannot write pidfile {}: {}", path, std::strerror(errno)),
                    "its directory must exist and be writable by this user");
    };
    const std::string fresh = fmt::format("{}.{}", path, getpid());
    unlink(fresh.c_str());
    const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0) return failed();
    const std::string text = fmt::format("{}\n", getpid());
    const bool written = write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int problem = errno;
    close(descriptor);
    if (written && rename(fresh.c_str(), path.c_str()) == 0) return {};
    errno = written ? errno : problem;
    auto refused = failed();
    unlink(fresh.c_str());
    return refused;
}

}  // namespace

Result<Pidfile> Pidfile::claim(std::string path) {
    const auto pid = named_process(path);
    if (!pid) return std::unexpected(pid.error());
    // Our own id: in a container every start has the same one.
    if (*pid != 0 && *pid != getpid() && lives(*pid))
        return fail(Errc::already_exists, fmt::format("pidfile {} names process {}, which lives", path, *pid),
                    "is another proxy running? if not, remove the file");
    return take_over(std::move(path));
}

Result<Pidfile> Pidfile::take_over(std::string path) {
    if (auto written = write_own_id(path); !written) return std::unexpected(std::move(written.error()));
    return Pidfile(std::move(path));
}

Pidfile::~Pidfile() {
    if (path_.empty()) return;
    const auto pid = named_process(path_);
    if (pid && *pid == getpid()) unlink(path_.c_str());
}

}  // namespace pgkeel::proxy
