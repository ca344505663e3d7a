#pragma once
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace pgkeel {

/// A descriptor that becomes readable when process `pid` ends, also when it is not our child; -1 with errno.
/// Close-on-exec. By number, because the C library's own declaration cannot be linked from C++ (glibc 2.36).
inline int open_pidfd(pid_t pid) {
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0U));
}

}  // namespace pgkeel
