#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel {

/// A byte position in the WAL, printed as PostgreSQL prints it: 16/B374D848. Zero is "not known".
struct Lsn {
    std::uint64_t bytes = 0;
    auto operator<=>(const Lsn&) const = default;
    explicit operator bool() const { return bytes != 0; }
};

/// A timeline of the WAL history; zero is "not known". See PostgreSQL, "Timelines".
struct Timeline {
    std::uint32_t id = 0;
    auto operator<=>(const Timeline&) const = default;
    explicit operator bool() const { return id != 0; }
};

/// Parses "16/B374D848"; nothing when the text is not an LSN.
std::optional<Lsn> parse_lsn(std::string_view text);
std::string to_string(Lsn lsn);
/// `ahead - behind`, never below zero.
std::uint64_t lag_bytes(Lsn ahead, Lsn behind);

}  // namespace pgkeel
