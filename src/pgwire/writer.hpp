#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pgkeel::pgwire {

/// Appends messages to a string, or to a buffer of fixed size. What is written is always whole messages: one that does
/// not fit, would be longer than its limit, or holds a NUL inside a text is taken back and makes the writer fail for
/// good. Ask ok() once, before the bytes are sent.
class Writer {
  public:
    explicit Writer(std::string& out) : string_(&out), start_(out.size()) {}
    explicit Writer(std::span<char> buffer) : buffer_(buffer) {}

    /// Bytes of the longest message, its length field included and its type byte not: an Int32 that is not negative.
    static constexpr std::uint64_t length_max = 0x7fff'ffff;

    void begin(char type);
    void begin_untyped();  ///< StartupMessage, SSLRequest, CancelRequest
    /// Completes the length. \param body_bytes_to_come  the rest of the body, which the caller sends after these bytes.
    void end(std::uint64_t body_bytes_to_come = 0, std::uint64_t limit = length_max);

    void byte(char value) { bytes({&value, 1}); }
    void int16(std::uint16_t value);
    void int32(std::uint32_t value);
    void bytes(std::string_view raw);
    void text(std::string_view value);  ///< and a NUL; fails when there is one inside
    void text_up_to_nul(
        std::string_view value);  ///< what comes after a NUL inside is left out: for texts that people read
    /// How many, as an Int16, and each with its length, nothing being NULL: the columns of a row, the parameters of a
    /// Bind.
    void values(std::span<const std::optional<std::string_view>> all);
    /// The message being written cannot be: takes it back.
    void give_up();

    bool ok() const { return !failed_; }
    std::string_view written() const { return {data(), size()}; }
    std::size_t size() const { return string_ ? string_->size() - start_ : used_; }

  private:
    const char* data() const { return string_ ? string_->data() + start_ : buffer_.data(); }

    std::string* string_ = nullptr;
    std::size_t start_ = 0;  ///< where our part of *string_ begins
    std::span<char> buffer_;
    std::size_t used_ = 0;          ///< of buffer_
    std::size_t message_ = 0;       ///< where the message being written begins, from our start
    std::size_t length_field_ = 0;  ///< where its length stands
    bool failed_ = false;
};

}  // namespace pgkeel::pgwire
