#include "process/memory.hpp"

#include <sys/mman.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>

namespace pgkeel {

void release_unused_code() {
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, Close> maps(std::fopen("/proc/self/maps", "re"));
    if (!maps) return;
    char line[512];
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char rights[5] = {};
        unsigned long inode = 0;
        // Only what can be executed and not written: read-only data may hold relocations, which are not in the file.
        if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %lu", &begin, &end, rights, &inode) == 4 &&
            inode != 0 && rights[1] == '-' && rights[2] == 'x' && rights[3] == 'p')
            madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT: an address out of a text
    }
}

}  // namespace pgkeel
