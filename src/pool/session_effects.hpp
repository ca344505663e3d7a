#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// What a statement leaves behind in its session, as far as its text tells. What a function of the user does inside
// cannot be seen here.

namespace pgkeel::pool {

/// Why a client keeps its server: state that cannot be taken to another one.
enum class PinReason : std::uint8_t {
    setting,  ///< a value that is not known here: an expression, a parameter
    role,     ///< SET ROLE, SET SESSION AUTHORIZATION
    listen,
    prepare,    ///< the statement, not the protocol's Parse
    cursor,     ///< DECLARE … WITH HOLD
    temporary,  ///< a table, view or sequence
    advisory_lock,
    load,
};
inline constexpr std::size_t pin_reason_count = 8;
const char* to_string(PinReason reason);

class PinReasons {
  public:
    constexpr PinReasons() = default;
    constexpr PinReasons(PinReason reason) : bits_(static_cast<std::uint8_t>(1U << static_cast<unsigned>(reason))) {}
    static constexpr PinReasons all() { return PinReasons(std::uint8_t{0xff}, 0); }
    constexpr bool none() const { return bits_ == 0; }
    constexpr bool has(PinReason reason) const { return (bits_ & PinReasons(reason).bits_) != 0; }
    constexpr PinReasons operator|(PinReasons other) const {
        return {static_cast<std::uint8_t>(bits_ | other.bits_), 0};
    }
    constexpr PinReasons operator&(PinReasons other) const {
        return {static_cast<std::uint8_t>(bits_ & other.bits_), 0};
    }
    constexpr PinReasons without(PinReasons other) const {
        return {static_cast<std::uint8_t>(bits_ & ~other.bits_), 0};
    }
    constexpr bool operator==(const PinReasons&) const = default;
    /// "listen,temporary"
    std::string text() const;

  private:
    constexpr PinReasons(std::uint8_t bits, int) : bits_(bits) {}
    std::uint8_t bits_ = 0;
};

struct SessionEffect {
    enum class Kind : std::uint8_t {
        nothing,    ///< SET LOCAL and the like: known to leave nothing
        set,        ///< `name` to `value`
        reset,      ///< `name` to its default
        reset_all,  ///< every setting
        pin,        ///< `reasons`; with a name, because this setting has a value that is not known here
        unpin,      ///< `reasons` are gone
    };
    Kind kind = Kind::nothing;
    PinReasons reasons;
    std::size_t statement = 0;  ///< its number in the text, from 0
    std::string name, value;    ///< the value as set_config takes it
    bool operator==(const SessionEffect&) const = default;
};
using SessionEffects = std::vector<SessionEffect>;
using SessionEffectsRef = std::shared_ptr<const SessionEffects>;

/// False: a statement of no interest here, which nearly all are. Costs a look at the bytes.
bool may_leave_state(std::string_view sql);
/// In the order of the statements. Empty: nothing is left behind.
SessionEffects session_effects(std::string_view sql);
/// The same, to be kept; null for nothing, without an allocation where may_leave_state() knows.
SessionEffectsRef shared_session_effects(std::string_view sql);

}  // namespace pgkeel::pool
