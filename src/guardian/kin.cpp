#include "guardian/guardian.hpp"
#include "process/all_processes.hpp"
#include "process/pidfd.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace pgkeel::guardian {

namespace {

constexpr std::string_view subcommand = "guardian";

template <class Number>
Number number(std::string_view text) {
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::vector<std::string> words_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::string> words;
    for (std::size_t at = 0; at < all.size();) {
        const auto end = std::min(all.find('\0', at), all.size());
        words.push_back(all.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

/// One spelling, whether the directory is there yet or not: two agents' guardians are to find each other by it.
std::string canonical(const std::string& directory) {
    std::error_code error;
    const auto path = std::filesystem::weakly_canonical(directory, error);
    return error ? directory : path.string();
}

bool is_ours(pid_t pid) {
    struct stat about{};
    return stat(fmt::format("/proc/{}", pid).c_str(), &about) == 0 && about.st_uid == geteuid();
}

}  // namespace

std::vector<std::string> arguments(const std::string& data_directory, const postgres::ServerProcess& agent) {
    // The very program that runs, also when an upgrade has replaced the file since.
    return {"/proc/self/exe", std::string(subcommand), canonical(data_directory), std::to_string(agent.pid),
            std::to_string(agent.started)};
}

std::vector<Kin> find_kin(const std::string& data_directory) {
    const std::string path = canonical(data_directory);
    std::vector<Kin> found;
    for (const pid_t pid : all_processes()) {
        if (!is_ours(pid)) continue;
        const auto words = words_of(pid);
        if (words.size() != 5 || words[1] != subcommand || words[2] != path) continue;
        const auto process = postgres::process_identity(pid);
        if (!process) continue;
        const auto agent = postgres::process_identity(number<pid_t>(words[3]));
        found.push_back({pid, process->started, agent && agent->started == number<std::uint64_t>(words[4])});
    }
    return found;
}

void end(const Kin& kin) {
    const int pidfd = open_pidfd(kin.pid);
    if (pidfd < 0) return;
    if (const auto now = postgres::process_identity(kin.pid); now && now->started == kin.started)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0U);
    close(pidfd);
}

}  // namespace pgkeel::guardian
