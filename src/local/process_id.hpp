#pragma once
#include "base/result.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace pgkeel::local {

/// One process for all time: a pid alone is handed out again after its owner has ended, with the start time it is not,
/// and the boot id tells processes of before a reboot apart.
struct ProcessId {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;  ///< clock ticks since boot, /proc/PID/stat field 22
    std::string boot_id;
    bool operator==(const ProcessId&) const = default;
};

/// The identity of a process that runs now; nothing when there is none, or when it is a zombie.
std::optional<ProcessId> identify(pid_t pid);
bool is_alive(const ProcessId& process);
/// Sends a signal through a pidfd, so that only this very process can get it. False: it does not run any more.
/// Errors: denied — it belongs to somebody else.
Result<bool> send_signal(const ProcessId& process, int signal);

/// Pid files: "PID START_TICKS BOOT_ID".
Result<> save(const ProcessId& process, const std::string& path);
/// The process a pid file names, if it is still alive.
std::optional<ProcessId> running(const std::string& pid_file);

/// The postmaster of a data directory, if it is alive: the pid in postmaster.pid whose working directory is
/// `data_directory`.
std::optional<ProcessId> running_postmaster(const std::string& data_directory);

/// The program's name and its arguments' start, for messages; empty when it cannot be seen.
std::string describe(pid_t pid);

}  // namespace pgkeel::local
