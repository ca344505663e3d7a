#pragma once
#include <sys/types.h>

#include <vector>

namespace pgkeel {

/// Every process there is at the moment, as /proc lists it. One may have ended when it is looked at.
std::vector<pid_t> all_processes();

}  // namespace pgkeel
