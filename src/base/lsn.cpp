#include "base/lsn.hpp"

#include <fmt/format.h>

#include <charconv>

namespace pgkeel {

std::optional<Lsn> parse_lsn(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash > 8 || text.size() - slash > 9) return std::nullopt;
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    const char* begin = text.data();
    const char* end = begin + text.size();
    const auto [high_end, high_error] = std::from_chars(begin, begin + slash, high, 16);
    if (high_error != std::errc{} || high_end != begin + slash) return std::nullopt;
    const auto [low_end, low_error] = std::from_chars(begin + slash + 1, end, low, 16);
    if (low_error != std::errc{} || low_end != end) return std::nullopt;
    return Lsn{(std::uint64_t{high} << 32) | low};
}

std::string to_string(Lsn lsn) {
    return fmt::format("{:X}/{:X}", lsn.bytes >> 32, lsn.bytes & 0xffffffffU);
}

std::uint64_t lag_bytes(Lsn ahead, Lsn behind) {
    return ahead > behind ? ahead.bytes - behind.bytes : 0;
}

}  // namespace pgkeel
