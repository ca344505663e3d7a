#include "auth/scram.hpp"

#include "auth/base64.hpp"
#include "auth/saslprep.hpp"

#include <charconv>

namespace pgkeel::auth {

namespace {

constexpr std::string_view prefix = "SCRAM-SHA-256$";
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t verifier_max_bytes = 4096;

/// Cuts the text before `end` off the front of `rest`; nothing when `end` is not there.
std::optional<std::string_view> cut(std::string_view& rest, char end) {
    const auto at = rest.find(end);
    if (at == std::string_view::npos) return {};
    const std::string_view part = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    return part;
}

std::optional<Key> decode_key(std::string_view text) {
    const auto bytes = base64_decode(text);
    if (!bytes || bytes->size() != Key::size) return {};
    return Key(bytes->reveal());
}

}  // namespace

std::optional<ScramVerifier> ScramVerifier::parse(std::string_view text) {
    if (text.size() > verifier_max_bytes || !text.starts_with(prefix)) return {};
    text.remove_prefix(prefix.size());
    const auto iterations = cut(text, ':');
    const auto salt = cut(text, '$');
    const auto stored_key = cut(text, ':');
    if (!iterations || !salt || !stored_key) return {};

    ScramVerifier result;
    std::int32_t count = 0;
    const char* end = iterations->data() + iterations->size();
    const auto [stop, error] = std::from_chars(iterations->data(), end, count);
    if (error != std::errc() || stop != end || count < 1) return {};
    result.iterations = static_cast<std::uint32_t>(count);

    const auto salt_read = base64_decode(*salt);
    const auto stored = decode_key(*stored_key);
    const auto server = decode_key(text);
    if (!salt_read || salt_read->empty() || !stored || !server) return {};
    result.salt = salt_read->reveal();
    result.stored_key = *stored;
    result.server_key = *server;
    return result;
}

SecretText ScramVerifier::text() const {
    SecretText result(prefix);
    result.append(std::to_string(iterations));
    result.push_back(':');
    result.append(base64_encode(salt).reveal());
    result.push_back('$');
    result.append(base64_encode(stored_key.reveal()).reveal());
    result.push_back(':');
    result.append(base64_encode(server_key.reveal()).reveal());
    return result;
}

Result<ScramKeys> derive_keys(std::string_view password, std::string_view salt, std::uint32_t iterations) {
    if (iterations == 0 || iterations > scram_iterations_max)
        return fail(Errc::invalid_input, fmt::format("cannot hash a password with {} iterations: the limit is {}",
                                                     iterations, scram_iterations_max));
    const Key salted = pbkdf2_sha256(saslprep(password).reveal(), salt, iterations);
    return ScramKeys{.client_key = hmac_sha256(salted.reveal(), "Client Key"),
                     .server_key = hmac_sha256(salted.reveal(), "Server Key")};
}

ScramVerifier verifier_of(const ScramKeys& keys, std::string salt, std::uint32_t iterations) {
    return {.iterations = iterations,
            .salt = std::move(salt),
            .stored_key = sha256(keys.client_key.reveal()),
            .server_key = keys.server_key};
}

Result<ScramVerifier> make_verifier(std::string_view password, std::string salt, std::uint32_t iterations) {
    if (salt.empty()) {
        auto random = random_bytes(salt_bytes);
        if (!random) return std::unexpected(std::move(random.error()));
        salt = *std::move(random);
    }
    const auto keys = derive_keys(password, salt, iterations);
    if (!keys) return std::unexpected(keys.error());
    return verifier_of(*keys, std::move(salt), iterations);
}

bool verifier_matches(const ScramVerifier& verifier, std::string_view password) {
    const auto keys = derive_keys(password, verifier.salt, verifier.iterations);
    return keys && sha256(keys->client_key.reveal()).equals(verifier.stored_key);
}

}  // namespace pgkeel::auth
