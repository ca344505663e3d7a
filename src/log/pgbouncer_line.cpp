#include "log/pgbouncer_line.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <array>
#include <ctime>

namespace pgkeel::log {
namespace {

std::string_view pgbouncer_name(Level level) {
    switch (level) {
        case Level::debug:
            return "DEBUG";
        case Level::info:
            return "LOG";
        case Level::warning:
            return "WARNING";
        case Level::error:
            return "ERROR";
        case Level::critical:
            return "FATAL";
    }
    return "LOG";
}

}  // namespace

std::string pgbouncer_line(const Record& record) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(record.time.time_since_epoch()).count();
    const std::time_t whole = milliseconds / 1000;
    std::tm local{};
    localtime_r(&whole, &local);
    std::array<char, 64> seconds{};
    std::array<char, 32> zone{};
    std::strftime(seconds.data(), seconds.size(), "%Y-%m-%d %H:%M:%S", &local);
    std::strftime(zone.data(), zone.size(), "%Z", &local);
    return fmt::format("{}.{:03} {} [{}] {} {}\n", seconds.data(), milliseconds % 1000, zone.data(), getpid(),
                       pgbouncer_name(record.level), record.message);
}

}  // namespace pgkeel::log
