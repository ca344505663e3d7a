#pragma once
#include "base/result.hpp"
#include "pgwire/startup_options.hpp"
#include "pgwire/writer.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The first packet of a connection, which alone has no type byte (PostgreSQL, "Start-up" and "SSL Session Encryption").

namespace pgkeel::pgwire {

struct ProtocolVersion {
    std::uint16_t major = 3;
    std::uint16_t minor = 0;
    std::uint32_t number() const { return std::uint32_t{major} << 16 | minor; }
    auto operator<=>(const ProtocolVersion&) const = default;
};
/// 3.2 differs from 3.0 in the cancel key only: 4 to 256 bytes instead of 4.
inline constexpr ProtocolVersion newest_version{3, 2};

constexpr std::size_t startup_bytes_max = 10'000;  ///< PostgreSQL's MAX_STARTUP_PACKET_LENGTH
constexpr std::size_t identity_bytes_max = 127;    ///< of a user's and a database's name; PostgreSQL cuts at 63
constexpr std::size_t cancel_key_bytes_min = 4;
constexpr std::size_t cancel_key_bytes_max = 256;

/// The first byte of TLS itself: a client with sslnegotiation=direct. The byte is still to be read.
struct TlsHello {};
struct SslRequest {};
struct GssRequest {};

struct CancelRequest {
    std::uint32_t process_id = 0;
    std::string key;
};

enum class ReplicationMode { none, physical, logical };

struct StartupMessage {
    ProtocolVersion version;
    std::string user;
    std::string database;  ///< the user's name when none was sent
    ReplicationMode replication = ReplicationMode::none;
    std::string options;                      ///< as sent; parse_options reads it
    std::vector<Parameter> parameters;        ///< settings, in the order sent: a later one wins
    std::vector<Parameter> protocol_options;  ///< names that begin with `_pq_.`: no settings
};

using FirstPacket = std::variant<TlsHello, SslRequest, GssRequest, CancelRequest, StartupMessage>;

struct Opening {
    FirstPacket packet;
    std::size_t bytes = 0;  ///< it took off the front. After an SslRequest or GssRequest nothing else may be there
};

/// Reads the first packet; empty while bytes are missing. What follows it is left alone.
Result<std::optional<Opening>> read_first_packet(std::string_view received);

/// What we speak with a client, and what it must be told of. See NegotiateProtocolVersion.
struct Negotiation {
    ProtocolVersion version;  ///< to speak
    std::vector<std::string_view>
        refused;                ///< names of protocol options that nobody here knows; views into the message
    bool must_be_told = false;  ///< before any Authentication message, once
};
Negotiation negotiate(const StartupMessage& startup, ProtocolVersion newest = newest_version);

/// A boolean as the server reads it: any case, `on` and `off`, and the beginnings of true, false, yes, no; 1 and 0.
std::optional<bool> parse_boolean(std::string_view text);

}  // namespace pgkeel::pgwire
