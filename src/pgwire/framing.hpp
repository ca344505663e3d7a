#pragma once
#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// Where messages begin and end in the bytes of a connection after its first packet. The scanner looks at five bytes of
// each message; what it has let through is whole and of a length that its type may have, so the other side sees the
// same borders.

namespace pgkeel::pgwire {

/// Who sent the bytes: frontend is the client's side of the protocol, backend the server's.
enum class Origin { frontend, backend };

/// Type byte and length.
constexpr std::size_t head_bytes = 5;

struct Head {
    char type = 0;
    std::uint32_t length = 4;  ///< as sent: it counts itself and the body, not the type

    std::uint32_t body_bytes() const { return length - 4; }
    std::uint64_t message_bytes() const { return std::uint64_t{length} + 1; }
    bool operator==(const Head&) const = default;
};

/// A set of type bytes.
class TypeSet {
  public:
    constexpr explicit TypeSet(std::string_view types) {
        for (const char type : types) has_[static_cast<unsigned char>(type)] = true;
    }
    constexpr bool has(char type) const { return has_[static_cast<unsigned char>(type)]; }

  private:
    std::array<bool, 256> has_{};
};

/// What a pooler must see of a server's answers. The rest — rows, copied data — goes to the client unseen.
inline constexpr TypeSet server_landmarks{"ZCES123tnTsIGHWAN"};

/// What stands at the front of the bytes received.
struct Front {
    enum class Kind {
        nothing,  ///< not a whole head: keep the bytes, receive more
        body,     ///< more of the body of `head`, whose beginning was taken before
        begun,    ///< a head, and not all of its body yet
        whole,    ///< a message
        refused,  ///< the stream cannot be followed any more: Scanner::refusal says why
    };
    Kind kind = Kind::nothing;
    Head head;              ///< not with `nothing`
    std::size_t bytes = 0;  ///< of the front that belong to it, the head included; 0 with `nothing` and `refused`

    std::string_view body(std::string_view received) const {  ///< what is here of it; with `begun` and `whole`
        return received.substr(head_bytes, bytes - head_bytes);
    }
};

/// Bytes at the front that may be forwarded in one piece.
struct Passed {
    std::size_t bytes = 0;
    std::size_t messages = 0;  ///< whose head is in it
    Front next;                ///< what comes behind: a message that has to be seen, `nothing`, or `refused`
};

/// Follows one direction of one connection.
class Scanner {
  public:
    /// \param length_max  refuse longer messages, whatever their type (PgBouncer's max_packet_size)
    explicit Scanner(Origin origin, std::uint32_t length_max = 0x7fff'ffff)
        : origin_(origin), length_max_(length_max) {}

    /// `received` begins with the first byte that was not taken.
    Front look(std::string_view received) const;
    /// `count` bytes at the front, which look() has shown as `front`, have left the buffer: at least the head, at most
    /// front.bytes. A body may leave in any number of pieces.
    void take(const Front& front, std::size_t count);
    /// Takes everything up to the first message whose type is in `stops`, or to the end of what is here.
    Passed pass(std::string_view received, const TypeSet& stops);

    /// Bytes of a message whose beginning was taken, and which come next.
    std::uint32_t body_left() const { return body_left_; }
    bool at_border() const { return body_left_ == 0; }
    /// Why the bytes are not the protocol, for a front that is `refused`.
    Error refusal(const Front& front) const;

  private:
    Origin origin_;
    std::uint32_t length_max_;
    Head current_;
    std::uint32_t body_left_ = 0;
};

/// The lengths which a message of this type may have; none at all when there is no such type. PostgreSQL's own limits
/// for clients (SocketBackend in its source): a small message has at most 10 000, a password 65 535.
struct LengthLimits {
    std::uint32_t min = 4;
    std::uint32_t max = 0;
};
LengthLimits length_limits(Origin origin, char type);

}  // namespace pgkeel::pgwire
