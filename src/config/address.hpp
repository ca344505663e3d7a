#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::config {

/// A host (without brackets) and a port.
struct Address {
    std::string host;
    std::string port;
    /// "host:port", IPv6 in brackets.
    std::string text() const;
};

/// Reads "host:port", "host", "[fd00::1]:8008", "*:8008", ":8008"; several hosts with commas stay one text. An IPv6
/// address without brackets counts its last group as the port, as Patroni does. Nothing when the port is no port.
std::optional<Address> split_address(std::string_view text, std::string_view default_port);

/// Every address of the machine is meant.
bool is_any_host(std::string_view host);

}  // namespace pgkeel::config
