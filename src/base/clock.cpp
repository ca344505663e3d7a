#include "base/clock.hpp"

#include <ctime>

namespace pgkeel {

Instant Boottime::now() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return Instant(std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_nsec / 1000));
}

}  // namespace pgkeel
