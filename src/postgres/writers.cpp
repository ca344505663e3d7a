#include "postgres/writers.hpp"

#include "log/log.hpp"
#include "postgres/files.hpp"
#include "process/all_processes.hpp"

#include <fmt/format.h>

#include <csignal>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <thread>

#include <sys/stat.h>

namespace pgkeel::postgres {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char* variable = "PGKEEL_WRITES_INTO";
/// How long a killed process may need: one that waits for a hung disk does not end before the disk answers.
constexpr auto patience = 5s;
constexpr std::size_t environment_bytes_max = std::size_t{4} << 20;

/// The directory may not exist yet, and its name may lead over links.
std::string mark_for(const std::string& data_directory) {
    std::error_code error;
    fs::path path = fs::weakly_canonical(data_directory, error);
    if (error) path = data_directory;
    return fmt::format("{}={}", variable, path.string());
}

/// A container's process, which the host sees too, has another directory of this name. Of what does not exist yet, its
/// parent tells.
bool means_our_directory(pid_t pid, fs::path directory) {
    struct stat ours{}, theirs{};
    while (::stat(directory.c_str(), &ours) != 0 && directory.has_relative_path()) directory = directory.parent_path();
    const std::string there = fmt::format("/proc/{}/root{}", pid, directory.string());
    return ::stat(there.c_str(), &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

bool carries(pid_t pid, std::string_view mark) {
    const auto environment = read_file(fmt::format("/proc/{}/environ", pid), environment_bytes_max);
    if (!environment) return false;  // it has ended, or is another user's
    std::string_view rest(*environment);
    while (!rest.empty()) {
        const std::string_view entry = rest.substr(0, rest.find('\0'));
        if (entry == mark) return true;
        rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    }
    return false;
}

/// One of those that are left; 0: none is.
pid_t kill_all_with(std::string_view mark) {
    pid_t left = 0;
    for (const pid_t pid : all_processes()) {
        if (!carries(pid, mark) || !means_our_directory(pid, mark.substr(mark.find('=') + 1))) continue;
        kill(pid, SIGKILL);
        left = pid;
    }
    return left;
}

}  // namespace

void mark_as_writer(Command& command, const std::string& data_directory) {
    const std::string mark = mark_for(data_directory);
    command.environment[variable] = mark.substr(mark.find('=') + 1);
}

Result<> end_writers(const std::string& data_directory) {
    const std::string mark = mark_for(data_directory);
    const auto give_up = std::chrono::steady_clock::now() + patience;
    for (bool first = true;; first = false) {
        const pid_t left = kill_all_with(mark);
        if (left == 0) return {};
        if (first)
            log::warning("process {} still writes into {}, for an agent that is no more: killed it", left,
                         data_directory);
        if (std::chrono::steady_clock::now() >= give_up)
            return fail(
                Errc::unsafe,
                fmt::format("process {} writes into {} and does not end, although it was killed", left, data_directory),
                "does its disk answer? nothing is changed there before it has ended");
        std::this_thread::sleep_for(20ms);
    }
}

}  // namespace pgkeel::postgres
