#include "process/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

namespace pgkeel {

namespace {

struct Mapping {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char rights[5] = {};
    unsigned long inode = 0;
    bool is_kernels = false;  ///< [vdso] and the like
};

std::vector<Mapping> mappings() {
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::vector<Mapping> all;
    const std::unique_ptr<std::FILE, Close> maps(std::fopen("/proc/self/maps", "re"));
    if (!maps) return all;
    char line[512];
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        Mapping one;
        char name[3] = {};
        const int fields = std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %lu %2s", &one.begin, &one.end,
                                       one.rights, &one.inode, name);
        if (fields < 4) continue;
        one.is_kernels = name[0] == '[' && name[1] == 'v';
        all.push_back(one);
    }
    return all;
}

void* address(std::uintptr_t place) {
    return reinterpret_cast<void*>(place);  // NOLINT(performance-no-int-to-ptr): an address out of a text
}

/// Locks those pages of `mapping` that are in memory now.
bool lock_present(const Mapping& mapping, int pagemap) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    constexpr std::uint64_t present = 1ULL << 63;
    std::vector<std::uint64_t> entries((mapping.end - mapping.begin) / page);
    const auto bytes = static_cast<ssize_t>(entries.size() * sizeof(std::uint64_t));
    if (pread(pagemap, entries.data(), static_cast<std::size_t>(bytes),
              static_cast<off_t>(mapping.begin / page * sizeof(std::uint64_t))) != bytes)
        return false;
    for (std::size_t first = 0; first < entries.size(); ++first) {
        if ((entries[first] & present) == 0) continue;
        std::size_t last = first;
        while (last < entries.size() && (entries[last] & present) != 0) ++last;
        if (mlock(address(mapping.begin + first * page), (last - first) * page) != 0) return false;
        first = last;
    }
    return true;
}

}  // namespace

void release_unused_code() {
    for (const Mapping& one : mappings())
        // Only what can be executed and not written: read-only data may hold relocations, which are not in the file.
        if (one.inode != 0 && one.rights[1] == '-' && one.rights[2] == 'x' && one.rights[3] == 'p')
            madvise(address(one.begin), one.end - one.begin, MADV_DONTNEED);
}

bool lock_used_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return true;
    // Of whole mappings the limit allows too little (RLIMIT_MEMLOCK); page by page it may be enough.
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0) return false;
    bool done = true;
    for (const Mapping& one : mappings())
        if (done && !one.is_kernels && one.rights[0] == 'r') done = lock_present(one, pagemap);
    close(pagemap);
    if (!done) munlockall();
    return done;
}

}  // namespace pgkeel
