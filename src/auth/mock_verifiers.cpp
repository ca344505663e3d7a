#include "auth/mock_verifiers.hpp"

namespace pgkeel::auth {

namespace {

/// One secret serves several purposes, each with its own word in front.
Key derived(const Key& secret, std::string_view purpose, std::string_view user) {
    std::string message(purpose);
    message += '\0';
    message += user;
    return hmac_sha256(secret.reveal(), message);
}

}  // namespace

Result<MockVerifiers> MockVerifiers::fresh() {
    auto secret = random_bytes(Key::size);
    if (!secret) return std::unexpected(std::move(secret.error()));
    MockVerifiers result{Key(*secret)};
    wipe(secret->data(), secret->size());
    return result;
}

std::string MockVerifiers::salt_for(std::string_view user) const {
    return std::string(derived(secret_, "salt", user).reveal().substr(0, 16));
}

ScramVerifier MockVerifiers::verifier_for(std::string_view user, std::uint32_t iterations) const {
    return {.iterations = iterations,
            .salt = salt_for(user),
            .stored_key = derived(secret_, "stored key", user),
            .server_key = derived(secret_, "server key", user)};
}

}  // namespace pgkeel::auth
