#include "auth/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace pgkeel::auth {

namespace {

/// Without looking for an IPv4 address inside: a network is written in the family it means.
std::optional<IpAddress> parse_verbatim(std::string_view text) {
    const std::string copy(text);  // inet_pton wants a zero at the end
    if (copy.find('\0') != std::string::npos) return {};
    IpAddress address;
    address.is_v6 = copy.find(':') != std::string::npos;
    const int family = address.is_v6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, copy.c_str(), address.bytes.data()) != 1) return {};
    return address;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (const auto zone = text.find('%'); zone != std::string_view::npos && text.find(':') < zone)
        text = text.substr(0, zone);
    auto address = parse_verbatim(text);
    if (!address || !address->is_v6) return address;
    constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (!std::ranges::equal(mapped, std::span(address->bytes).first<12>())) return address;
    IpAddress v4;
    std::ranges::copy(std::span(address->bytes).last<4>(), v4.bytes.begin());
    return v4;
}

std::optional<Network> Network::parse(std::string_view cidr) {
    const auto slash = cidr.find('/');
    if (slash == std::string_view::npos) return {};
    const auto address = parse_verbatim(cidr.substr(0, slash));
    const std::string_view length = cidr.substr(slash + 1);
    unsigned bits = 0;
    const auto [stop, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (!address || error != std::errc() || stop != length.data() + length.size() || bits > address->bits()) return {};

    Network network{.address = *address};
    for (unsigned i = 0; i < bits; ++i) network.mask[i / 8] |= static_cast<std::uint8_t>(0x80U >> i % 8);
    return network;
}

std::optional<Network> Network::parse(std::string_view address, std::string_view mask) {
    const auto base = parse_verbatim(address);
    const auto bits = parse_verbatim(mask);
    if (!base || !bits || base->is_v6 != bits->is_v6) return {};
    return Network{.address = *base, .mask = bits->bytes};
}

bool Network::contains(const IpAddress& other) const {
    if (other.is_v6 != address.is_v6) return false;
    for (std::size_t i = 0; i < address.bits() / 8; ++i)
        if (((other.bytes[i] ^ address.bytes[i]) & mask[i]) != 0) return false;
    return true;
}

}  // namespace pgkeel::auth
