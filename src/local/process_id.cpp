#include "local/process_id.hpp"

#include "local/files.hpp"

#include <fmt/format.h>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace pgkeel::local {

namespace {
const std::string& boot_id() {
    static const std::string id = [] {
        std::string text = read_file("/proc/sys/kernel/random/boot_id").value_or("unknown");
        std::erase(text, '\n');
        return text;
    }();
    return id;
}
}  // namespace

std::optional<ProcessId> identify(pid_t pid) {
    if (pid <= 0) return std::nullopt;
    const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
    if (!stat) return std::nullopt;
    // "PID (name) STATE …": the name may hold blanks and brackets, so the fields are counted from the last bracket on.
    const auto bracket = stat->rfind(')');
    if (bracket == std::string::npos) return std::nullopt;
    std::istringstream fields(stat->substr(bracket + 1));
    std::string field;
    constexpr int state_field = 3;
    constexpr int start_field = 22;
    for (int number = state_field; number <= start_field && fields >> field; ++number)
        if (number == state_field && (field == "Z" || field == "X")) return std::nullopt;
    ProcessId process{.pid = pid, .start_ticks = 0, .boot_id = boot_id()};
    const auto parsed = std::from_chars(field.data(), field.data() + field.size(), process.start_ticks);
    if (parsed.ec != std::errc()) return std::nullopt;
    return process;
}

bool is_alive(const ProcessId& process) {
    return identify(process.pid) == process;
}

Result<bool> send_signal(const ProcessId& process, int signal) {
    const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0));
    if (descriptor < 0) return false;
    // From here on the descriptor stands for one process; whether it is the right one is asked after that.
    bool sent = false;
    int error = 0;
    if (is_alive(process)) {
        sent = ::syscall(SYS_pidfd_send_signal, descriptor, signal, nullptr, 0) == 0;
        error = errno;
    }
    ::close(descriptor);
    if (!sent && error == EPERM)
        return fail(Errc::denied, fmt::format("may not signal process {} ({})", process.pid, describe(process.pid)),
                    "run the command as the user who started the cluster");
    return sent;
}

Result<> save(const ProcessId& process, const std::string& path) {
    return write_file(path, fmt::format("{} {} {}\n", process.pid, process.start_ticks, process.boot_id), 0600);
}

std::optional<ProcessId> running(const std::string& pid_file) {
    const auto content = read_file(pid_file);
    if (!content) return std::nullopt;
    ProcessId process;
    std::istringstream fields(*content);
    if (!(fields >> process.pid >> process.start_ticks >> process.boot_id) || !is_alive(process)) return std::nullopt;
    return process;
}

std::optional<ProcessId> running_postmaster(const std::string& data_directory) {
    const auto content = read_file(data_directory + "/postmaster.pid");
    if (!content) return std::nullopt;
    const auto process = identify(static_cast<pid_t>(std::atoi(content->c_str())));
    if (!process) return std::nullopt;
    std::error_code error;
    const auto where = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", process->pid), error);
    if (error || !std::filesystem::equivalent(where, data_directory, error)) return std::nullopt;
    return process;
}

std::string describe(pid_t pid) {
    std::string line = read_file(fmt::format("/proc/{}/cmdline", pid)).value_or("");
    std::ranges::replace_if(line, [](char c) { return c >= 0 && c < ' '; }, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    constexpr std::size_t enough = 60;
    return line.size() > enough ? line.substr(0, enough) + "…" : line;
}

}  // namespace pgkeel::local
