#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::auth {

/// An IPv4 or IPv6 address without a port. An IPv4 address that came through an IPv6 socket (::ffff:10.0.0.1) is IPv4.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four
    bool is_v6 = false;

    /// Also takes an IPv6 zone (fe80::1%eth0), which is dropped. Nothing when it is not an address.
    static std::optional<IpAddress> parse(std::string_view text);
    unsigned bits() const { return is_v6 ? 128 : 32; }
    bool operator==(const IpAddress&) const = default;
};

/// The addresses that agree with one in the bits of a mask.
struct Network {
    IpAddress address;
    std::array<std::uint8_t, 16> mask{};

    /// "10.0.0.0/8", with at least the prefix' length. Bits behind it are allowed and ignored, as in PostgreSQL.
    static std::optional<Network> parse(std::string_view cidr);
    /// An address and a mask of its family, which need not be a prefix.
    static std::optional<Network> parse(std::string_view address, std::string_view mask);
    bool contains(const IpAddress& other) const;
};

}  // namespace pgkeel::auth
