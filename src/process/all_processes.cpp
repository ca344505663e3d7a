#include "process/all_processes.hpp"

#include <dirent.h>

#include <charconv>
#include <cstring>
#include <memory>

namespace pgkeel {

std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    const std::unique_ptr<DIR, int (*)(DIR*)> all(opendir("/proc"), closedir);
    while (const dirent* entry = all ? readdir(all.get()) : nullptr) {
        const char* const end = entry->d_name + std::strlen(entry->d_name);
        pid_t pid = 0;
        const auto [stop, failure] = std::from_chars(entry->d_name, end, pid);
        if (failure == std::errc() && stop == end) pids.push_back(pid);
    }
    return pids;
}

}  // namespace pgkeel
