#include "process/reaper.hpp"

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace pgkeel {

namespace {

struct Owned {
    std::mutex mutex;
    std::set<pid_t> pids;
};

/// Never destroyed: a background thread may outlive main().
Owned& owned() {
    static Owned* const instance = new Owned;
    return *instance;
}

std::vector<pid_t> dead_or_alive_children() {
    std::vector<pid_t> children;
    std::ifstream file(fmt::format("/proc/self/task/{}/children", getpid()));
    for (pid_t pid = 0; file >> pid;) children.push_back(pid);
    return children;
}

}  // namespace

pid_t fork_owned() {
    const std::lock_guard lock(owned().mutex);
    const pid_t pid = fork();
    if (pid > 0) owned().pids.insert(pid);
    return pid;
}

void disown(pid_t pid) {
    const std::lock_guard lock(owned().mutex);
    owned().pids.erase(pid);
}

void reap_in_background(pid_t pid) {
    std::thread([pid] {
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        disown(pid);
    }).detach();
}

int reap_orphans() {
    // Strangers are given to the main thread of the process that inherits them, so its list of children holds them all.
    const std::lock_guard lock(owned().mutex);
    int reaped = 0;
    for (const pid_t pid : dead_or_alive_children())
        if (!owned().pids.contains(pid) && waitpid(pid, nullptr, WNOHANG) == pid) ++reaped;
    return reaped;
}

}  // namespace pgkeel
