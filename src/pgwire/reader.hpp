#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pgkeel::pgwire {

/// Takes values off the front of a message body, each only if it is there whole: lengths are compared with what is
/// left, never added to a position. The first value that is missing makes the reader fail for good; from then on it
/// gives zeros and empty views, so a whole structure is read first and asked for once: `if (!reader.finished()) …`.
/// Views point into the bytes given. Integers are big-endian (PostgreSQL, "Message Data Types").
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    std::uint8_t byte() { return static_cast<std::uint8_t>(number<1>()); }
    std::uint16_t int16() { return static_cast<std::uint16_t>(number<2>()); }
    std::uint32_t int32() { return number<4>(); }

    std::string_view bytes(std::size_t count) {
        if (failed_ || count > rest_.size()) return give_up();
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }

    /// Up to the next NUL, which is taken too.
    std::string_view text() {
        const void* end = failed_ || rest_.empty() ? nullptr : std::memchr(rest_.data(), 0, rest_.size());
        if (!end) return give_up();
        const std::string_view taken =
            rest_.substr(0, static_cast<std::size_t>(static_cast<const char*>(end) - rest_.data()));
        rest_.remove_prefix(taken.size() + 1);
        return taken;
    }

    std::string_view everything_left() { return bytes(rest_.size()); }

    std::size_t left() const { return rest_.size(); }
    bool ok() const { return !failed_; }
    /// Nothing was missing and nothing is left.
    bool finished() const { return !failed_ && rest_.empty(); }

  private:
    template <std::size_t size>
    std::uint32_t number() {
        const std::string_view raw = bytes(size);
        if (raw.size() != size) return 0;
        std::uint32_t value = 0;
        for (const char c : raw) value = value << 8 | static_cast<unsigned char>(c);
        return value;
    }
    std::string_view give_up() {
        failed_ = true;
        rest_ = {};
        return {};
    }

    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace pgkeel::pgwire
