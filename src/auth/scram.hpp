#pragma once
#include "auth/crypto.hpp"
#include "auth/secret_text.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What the two ends of SCRAM-SHA-256 (RFC 5802, RFC 7677) and the stored verifier have in common.

namespace pgkeel::auth {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";

/// PostgreSQL's scram_iterations.
inline constexpr std::uint32_t scram_iterations_default = 4096;
/// Nobody makes us hash more than this (about half a second), neither a server nor a role that stores its own verifier.
inline constexpr std::uint32_t scram_iterations_max = 1'000'000;
/// Of one SCRAM message, either way: PostgreSQL's are below 300.
inline constexpr std::size_t scram_message_max_bytes = 2048;

/// What a password becomes for one salt and iteration count. The client key logs in, the server key answers for a
/// server.
struct ScramKeys {
    Key client_key;
    Key server_key;
};

/// What a server keeps of a password; printed as `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
struct ScramVerifier {
    std::uint32_t iterations = scram_iterations_default;
    std::string salt;  ///< raw bytes
    Key stored_key;    ///< SHA-256 of the client key
    Key server_key;

    /// Nothing when the text is not exactly a verifier.
    static std::optional<ScramVerifier> parse(std::string_view text);
    SecretText text() const;
};

/// The keys of a client that has logged in, with the verifier they belong to. They log in to a server that keeps the
/// same verifier (the same salt and iterations), and to no other.
struct PassThrough {
    ScramKeys keys;
    std::string salt;
    std::uint32_t iterations = 0;
};

/// EXPENSIVE (PBKDF2): run it on a worker thread. Prepares the password first (saslprep.hpp).
/// Errors: invalid_input, when `iterations` is zero or above scram_iterations_max.
Result<ScramKeys> derive_keys(std::string_view password, std::string_view salt, std::uint32_t iterations);

/// The verifier that belongs to the keys. Cheap.
ScramVerifier verifier_of(const ScramKeys& keys, std::string salt, std::uint32_t iterations);

/// EXPENSIVE. An empty salt: 16 random bytes. For a password that only this process keeps in plain text, give
/// MockVerifiers::salt_for(user), which strangers cannot tell from the salt of a user who does not exist.
/// Errors: invalid_input (iterations), unavailable (no randomness).
Result<ScramVerifier> make_verifier(std::string_view password, std::string salt = {},
                                    std::uint32_t iterations = scram_iterations_default);

/// EXPENSIVE. Whether the verifier was made of this password; false when it asks for more than scram_iterations_max.
bool verifier_matches(const ScramVerifier& verifier, std::string_view password);

}  // namespace pgkeel::auth
