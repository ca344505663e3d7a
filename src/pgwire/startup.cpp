#include "pgwire/startup.hpp"

#include "pgwire/reader.hpp"
#include "pgwire/startup_codes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::pgwire {
namespace {

constexpr char tls_handshake_record = 0x16;  // RFC 8446 §5.1

bool is_beginning_of(std::string_view text, std::string_view word) {
    return !text.empty() && word.starts_with(text);
}

Result<ReplicationMode> parse_replication(std::string_view value) {
    if (value == "database") return ReplicationMode::logical;
    const std::optional<bool> physical = parse_boolean(value);
    if (!physical)
        return fail(Errc::invalid_input, "invalid value for the startup parameter replication",
                    "valid values are true, false and database");
    return *physical ? ReplicationMode::physical : ReplicationMode::none;
}

Result<void> check_identity(std::string_view what, std::string_view name) {
    if (name.size() <= identity_bytes_max) return {};
    return fail(Errc::invalid_input,
                fmt::format("the {} name has {} bytes, at most {} are allowed", what, name.size(), identity_bytes_max));
}

Result<StartupMessage> read_startup(ProtocolVersion version, Reader reader) {
    StartupMessage out;
    out.version = version;
    while (true) {
        const std::string_view name = reader.text();
        if (name.empty()) break;  // the terminator, or nothing at all
        const std::string_view value = reader.text();
        if (name == "user") {
            out.user = value;
        } else if (name == "database") {
            out.database = value;
        } else if (name == "options") {
            out.options = value;
        } else if (name == "replication" && reader.ok()) {
            const auto mode = parse_replication(value);
            if (!mode) return std::unexpected(mode.error());
            out.replication = *mode;
        } else if (name.starts_with("_pq_.")) {
            out.protocol_options.push_back({std::string(name), std::string(value)});
        } else {
            out.parameters.push_back({std::string(name), std::string(value)});
        }
    }
    if (!reader.finished())
        return fail(Errc::invalid_input, "invalid startup packet layout: expected terminator as last byte");
    if (out.user.empty()) return fail(Errc::invalid_input, "no user name specified in the startup packet");
    if (out.database.empty()) out.database = out.user;
    if (auto good = check_identity("user", out.user); !good) return std::unexpected(good.error());
    if (auto good = check_identity("database", out.database); !good) return std::unexpected(good.error());
    return out;
}

Result<FirstPacket> read_packet(std::uint32_t code, Reader reader) {
    const std::size_t left = reader.left();
    if (code == ssl_request_code || code == gss_request_code) {
        if (left != 0)
            return fail(Errc::invalid_input,
                        fmt::format("an encryption request of {} bytes, it must have 8", left + 8));
        return code == ssl_request_code ? FirstPacket(SslRequest{}) : FirstPacket(GssRequest{});
    }
    if (code == cancel_request_code) {
        CancelRequest cancel;
        cancel.process_id = reader.int32();
        cancel.key = reader.everything_left();
        if (!reader.ok() || cancel.key.size() < cancel_key_bytes_min || cancel.key.size() > cancel_key_bytes_max)
            return fail(Errc::invalid_input,
                        fmt::format("a cancel request of {} bytes, it must have 16 to 268", left + 8));
        return FirstPacket(std::move(cancel));
    }
    const ProtocolVersion version{static_cast<std::uint16_t>(code >> 16), static_cast<std::uint16_t>(code)};
    if (version.major != newest_version.major)
        return fail(Errc::invalid_input,
                    fmt::format("unsupported frontend protocol {}.{}: 3.0 to {}.{} are supported", version.major,
                                version.minor, newest_version.major, newest_version.minor));
    auto startup = read_startup(version, reader);
    if (!startup) return std::unexpected(std::move(startup.error()));
    return FirstPacket(std::move(*startup));
}

}  // namespace

Result<std::optional<Opening>> read_first_packet(std::string_view received) {
    if (received.empty()) return std::nullopt;
    if (received.front() == tls_handshake_record) return Opening{TlsHello{}, 0};
    if (received.size() < 4) return std::nullopt;
    Reader length_reader(received);
    const std::uint32_t length = length_reader.int32();
    if (length < 8 || length > startup_bytes_max)
        return fail(Errc::invalid_input,
                    fmt::format("invalid length of startup packet: {}, it must be 8 to {}", length, startup_bytes_max));
    if (received.size() < length) return std::nullopt;
    Reader reader(received.substr(4, length - 4));
    const std::uint32_t code = reader.int32();
    auto packet = read_packet(code, reader);
    if (!packet) return std::unexpected(std::move(packet.error()));
    return Opening{std::move(*packet), length};
}

Negotiation negotiate(const StartupMessage& startup, ProtocolVersion newest) {
    Negotiation out;
    out.version = std::min(startup.version, newest);
    for (const Parameter& option : startup.protocol_options) out.refused.push_back(option.name);
    out.must_be_told = startup.version > newest || !out.refused.empty();
    return out;
}

std::optional<bool> parse_boolean(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (is_beginning_of(lower, "true") || is_beginning_of(lower, "yes") || lower == "on" || lower == "1") return true;
    if (is_beginning_of(lower, "false") || is_beginning_of(lower, "no") || lower == "off" || lower == "of" ||
        lower == "0")
        return false;
    return std::nullopt;
}

}  // namespace pgkeel::pgwire
