#include "process/memory.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <vector>

namespace pgkeel {

namespace {

struct Mapping {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char rights[5] = {};
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
        const int fields =
            std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %*u %2s", &one.begin, &one.end, one.rights, name);
        if (fields < 3) continue;
        one.is_kernels = name[0] == '[' && name[1] == 'v';
        all.push_back(one);
    }
    return all;
}

void* address(std::uintptr_t place) {
    return reinterpret_cast<void*>(place);  // NOLINT(performance-no-int-to-ptr): an address out of a text
}

bool relocates_text(const dl_phdr_info& object) {
    for (const ElfW(Phdr) & header : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
        if (header.p_type != PT_DYNAMIC) continue;
        for (const auto* entry = static_cast<const ElfW(Dyn)*>(address(object.dlpi_addr + header.p_vaddr));
             entry->d_tag != DT_NULL; ++entry)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
                return true;
    }
    return false;
}

void release(const dl_phdr_info& object) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const bool is_kernels = object.dlpi_addr == getauxval(AT_SYSINFO_EHDR);
    if (is_kernels || relocates_text(object)) return;
    for (const ElfW(Phdr) & header : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
        // What may be written to holds relocations, also after it has become read-only: they are not in the file.
        if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
        const std::uintptr_t begin = (object.dlpi_addr + header.p_vaddr) / page * page;
        const std::uintptr_t end = (object.dlpi_addr + header.p_vaddr + header.p_filesz + page - 1) / page * page;
        madvise(address(begin), end - begin, MADV_DONTNEED);
    }
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

void release_unused_pages() {
    // With the list of objects locked: dl_iterate_phdr(3) shows no object that is being mapped.
    dl_iterate_phdr([](dl_phdr_info* object, std::size_t, void*) { return release(*object), 0; }, nullptr);
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
