#pragma once
#include "auth/secret_text.hpp"
#include "base/result.hpp"
#include "engine/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the process that runs and the one that takes over from it tell each other
// (docs/decisions/0006-online-restart.md). The older one is asked, the newer one asks; sockets travel beside the bytes.
// Encoding is pure.

namespace pgkeel::proxy {

/// Two processes understand each other when this is the same number in both.
inline constexpr std::uint32_t handover_protocol = 1;

namespace handover {

/// newer: the first words.
struct Hello {
    std::uint32_t protocol = handover_protocol;
    std::string version;
    bool operator==(const Hello&) const = default;
};
/// older: it may take over. Listeners follow.
struct Welcome {
    std::uint32_t protocol = handover_protocol;
    std::string version;
    std::int64_t process_id = 0;
    std::uint32_t generation = 0;  ///< so many processes have taken over before it
    bool operator==(const Welcome&) const = default;
};
/// older: it may not, and this ends it.
struct Refusal {
    std::string text, hint;
    bool operator==(const Refusal&) const = default;
};
/// older: a listening socket, which comes with it.
struct Listener {
    std::string host;  ///< as in engine::Endpoint
    std::uint16_t port = 0;
    bool is_for_handover = false;  ///< where the next process will ask
    bool operator==(const Listener&) const = default;
};
/// older: these were all.
struct ListenersEnd {
    bool operator==(const ListenersEnd&) const = default;
};
/// newer: everything else has succeeded, it can serve.
struct Ready {
    bool operator==(const Ready&) const = default;
};
/// older: it accepts no clients any more. Sessions follow.
struct Go {
    bool is_paused = false;
    std::vector<std::string> paused, disabled;  ///< databases
    bool operator==(const Go&) const = default;
};
/// older: an image of pool/session_image.hpp; its client's and its server's socket come with it.
struct Session {
    std::uint64_t number = 0;
    auth::SecretText image;
};
/// newer: it is mine from now on.
struct Taken {
    std::uint64_t number = 0;
    bool operator==(const Taken&) const = default;
};
/// newer: it stays yours.
struct NotTaken {
    std::uint64_t number = 0;
    bool later = false;  ///< it may be offered again
    std::string why;
    bool operator==(const NotTaken&) const = default;
};
/// older: everybody who could go has gone, and the listening sockets are closed here: it will not serve again.
struct Settled {
    bool operator==(const Settled&) const = default;
};
/// newer: it ends because it was asked to, so nobody shall serve.
struct Farewell {
    bool operator==(const Farewell&) const = default;
};
/// both: a cancel request for a client that the sender does not have.
struct Cancel {
    std::uint32_t number = 0;
    std::uint64_t key = 0;
    bool operator==(const Cancel&) const = default;
};
/// both: it is done, or there was nothing to do.
struct Cancelled {
    std::uint32_t number = 0;
    bool operator==(const Cancelled&) const = default;
};

/// In the order of their numbers on the wire, from 1.
using Message = std::variant<Hello, Welcome, Refusal, Listener, ListenersEnd, Ready, Go, Session, Taken, NotTaken,
                             Settled, Farewell, Cancel, Cancelled>;

/// For logs and errors.
const char* name_of(const Message& message);

}  // namespace handover

/// A message with the sockets that belong to it.
struct HandoverFrame {
    handover::Message message;
    std::vector<Descriptor> sockets;
};

struct HandoverHead {
    static constexpr std::size_t bytes = 6;
    std::uint32_t body_bytes = 0;
    std::uint8_t kind = 0, sockets = 0;
};
inline constexpr std::size_t handover_body_max = std::size_t{1} << 28;
inline constexpr std::size_t handover_sockets_max = 2;

/// Head and body. What it returns may hold secrets.
auth::SecretText encode(const handover::Message& message, std::size_t sockets);
/// \param head  HandoverHead::bytes of them. Errors: invalid_input — no such kind, or too much of something.
Result<HandoverHead> decode_handover_head(std::string_view head);
/// Errors: invalid_input — not exactly the body of that kind.
Result<handover::Message> decode_handover_body(std::uint8_t kind, std::string_view body);

}  // namespace pgkeel::proxy
