#pragma once
#include <optional>
#include <string_view>

namespace pgkeel::auth {

/// Reads the `x=value,y=value` of a SCRAM message from front to end. RFC 5802 fixes their order, so does this.
/// Holds a view of the message.
class ScramAttributes {
  public:
    explicit ScramAttributes(std::string_view message) : rest_(message) {}

    /// The value of the next attribute when it is this one, else nothing.
    std::optional<std::string_view> take(char name);
    /// Passes over an optional extension; false when the next thing is not an attribute, or `m`, which RFC 5802
    /// reserves.
    bool skip();
    bool at_end() const { return at_end_; }
    /// What was not read yet.
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
    bool at_end_ = false;
};

/// RFC 5802's `printable`: visible ASCII without the comma, at least one character.
bool is_scram_nonce(std::string_view text);

}  // namespace pgkeel::auth
