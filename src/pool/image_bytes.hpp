#pragma once
#include "auth/secret_text.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Values as bytes, for another process of pgkeel on this machine: numbers big-endian, a text behind its length. What is
// written may hold secrets, so its memory is overwritten when it goes.

namespace pgkeel::pool {

class ImageWriter {
  public:
    explicit ImageWriter(auth::SecretText& out) : out_(out) {}

    /// The `bytes` lower ones of a number.
    void number(std::uint64_t value, std::size_t bytes);
    void boolean(bool value) { number(value ? 1 : 0, 1); }
    void text(std::string_view value);

  private:
    auth::SecretText& out_;
};

/// Reads what ImageWriter has written. The first thing that is not there, or not what it should be, makes it fail for
/// good; then everything read is zero or empty.
class ImageReader {
  public:
    explicit ImageReader(std::string_view bytes) : rest_(bytes) {}

    std::uint64_t number(std::size_t bytes);
    bool boolean();
    /// Valid as long as the bytes are.
    std::string_view text();
    /// One that the protocol ends with a zero byte: it holds none.
    std::string name();
    /// How many things follow of which each takes at least one byte: so no lie about it allocates much.
    std::size_t count();
    /// A value that must not be above `most`.
    std::uint64_t up_to(std::uint64_t most, std::size_t bytes);

    void refuse() {
        ok_ = false;
        rest_ = {};
    }
    bool ok() const { return ok_; }
    /// All of it was read, and all of it was right.
    bool is_over() const { return ok_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace pgkeel::pool
