#pragma once
#include "auth/secret_text.hpp"
#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace pgkeel::auth {

/// 32 bytes: a SHA-256 digest, and each of SCRAM-SHA-256's keys. Wiped, compared in constant time, never printed.
class Key {
  public:
    static constexpr std::size_t size = 32;

    Key() = default;
    Key(const Key&) = default;
    Key& operator=(const Key&) = default;
    ~Key() { wipe(bytes_.data(), size); }
    /// `bytes` are `size` bytes.
    explicit Key(std::string_view bytes);

    bool equals(const Key& other) const;
    /// Bit by bit: what turns a key and its signature into a proof, and back.
    Key operator^(const Key& other) const;
    std::uint8_t* data() { return bytes_.data(); }
    std::string_view reveal() const { return {reinterpret_cast<const char*>(bytes_.data()), size}; }

  private:
    std::array<std::uint8_t, size> bytes_{};
};

std::ostream& operator<<(std::ostream&, const Key&) = delete;

Key sha256(std::string_view bytes);
Key hmac_sha256(std::string_view key, std::string_view bytes);
/// PBKDF2 with HMAC-SHA-256 and 32 bytes of output, the Hi() of RFC 5802. EXPENSIVE: about 0.1 µs to 1 µs an iteration.
Key pbkdf2_sha256(std::string_view password, std::string_view salt, std::uint32_t iterations);
/// The 32 lower case hexadecimal digits of an MD5. Errors: unavailable, where OpenSSL's policy forbids MD5 (FIPS).
Result<SecretText> md5_hex(std::string_view bytes);
/// Errors: unavailable, when the system gives no randomness.
Result<std::string> random_bytes(std::size_t count);

}  // namespace pgkeel::auth

template <>
struct fmt::formatter<pgkeel::auth::Key> {
    formatter() = delete;
};
