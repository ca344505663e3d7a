#pragma once
#include "base/clock.hpp"
#include "log/log.hpp"

#include <cstddef>
#include <string_view>

namespace pgkeel::log {

/// One line before it is formatted. The views live as long as the call that got the record.
struct Record {
    Level level = Level::info;
    std::string_view message;
    WallTime time;
    std::size_t thread = 0;
    std::string_view file;  ///< as the compiler knows it
    int line = 0;
    std::string_view function;  ///< the name alone, or a whole signature
};

/// DEBUG, INFO, WARNING, ERROR, CRITICAL.
std::string_view python_name(Level level);

}  // namespace pgkeel::log
