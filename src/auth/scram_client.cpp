#include "auth/scram_client.hpp"

#include "auth/base64.hpp"
#include "auth/channel_binding.hpp"
#include "auth/scram_attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgkeel::auth {

namespace {

constexpr std::size_t nonce_bytes = 18;  // PostgreSQL's; 24 characters
constexpr std::size_t error_text_max_bytes = 100;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(Errc::invalid_input, fmt::format("the server's SCRAM message is malformed: {}", what));
}

bool is_acceptable(std::string_view message) {
    return message.size() <= scram_message_max_bytes && message.find('\0') == std::string_view::npos;
}

/// RFC 5802's saslname: what separates attributes is spelt out.
std::string escaped(std::string_view name) {
    std::string result;
    for (const char c : name) {
        if (c == ',')
            result += "=2C";
        else if (c == '=')
            result += "=3D";
        else
            result += c;
    }
    return result;
}

/// A stranger's words, for one line of a log.
std::string harmless(std::string_view text) {
    std::string result(text.substr(0, error_text_max_bytes));
    std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
    return result;
}

}  // namespace

Result<ScramClient::Initial> ScramClient::begin(std::span<const std::string_view> offered) {
    if (std::exchange(state_, State::over) != State::begun) return malformed("a second offer of mechanisms");
    const bool can_bind = !options_.channel_binding.empty();
    const bool plus = can_bind && std::ranges::find(offered, scram_sha_256_plus) != offered.end();
    if (!plus && options_.require_channel_binding)
        return fail(Errc::denied,
                    "cannot log in with channel binding: the server does not offer it, or there is no TLS",
                    "allow logins without channel binding, or use TLS and a server that has it");
    if (!plus && std::ranges::find(offered, scram_sha_256) == offered.end())
        return fail(Errc::denied, "cannot log in: the server offers no SASL mechanism that is known here",
                    "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS are");

    // `y`: we could, the server cannot; a server that can takes this for an attack.
    gs2_header_ = plus ? fmt::format("p={},,", tls_server_end_point) : can_bind ? "y,," : "n,,";
    if (options_.nonce.empty()) {
        const auto random = random_bytes(nonce_bytes);
        if (!random) return std::unexpected(random.error());
        options_.nonce = base64_encode(*random).reveal();
    }
    client_first_bare_ = fmt::format("n={},r={}", escaped(options_.user), options_.nonce);
    state_ = State::opened;
    return Initial{plus ? scram_sha_256_plus : scram_sha_256, gs2_header_ + client_first_bare_};
}

Result<ScramClient::Challenge> ScramClient::read_challenge(std::string_view server_first) const {
    if (!is_acceptable(server_first)) return malformed("it has a zero byte or is too long");
    ScramAttributes attributes(server_first);
    if (attributes.take('m')) return malformed("it has a mandatory extension");
    const auto nonce = attributes.take('r');
    if (!nonce || !is_scram_nonce(*nonce)) return malformed("it has no nonce");
    if (!nonce->starts_with(options_.nonce) || nonce->size() == options_.nonce.size())
        return malformed("its nonce does not extend ours");
    const auto salt_text = attributes.take('s');
    const auto salt = salt_text ? base64_decode(*salt_text) : std::nullopt;
    if (!salt || salt->empty()) return malformed("its salt is not base64");
    const auto count = attributes.take('i');
    if (!count || !attributes.at_end()) return malformed("it does not end with an iteration count");

    Challenge result{.nonce = std::string(*nonce), .salt = std::string(salt->reveal())};
    const char* end = count->data() + count->size();
    const auto [stop, error] = std::from_chars(count->data(), end, result.iterations);
    if (error != std::errc() || stop != end) return malformed("its iteration count is not a number");
    if (result.iterations == 0 || result.iterations > scram_iterations_max)
        return fail(Errc::invalid_input, fmt::format("the server wants {} SCRAM iterations: the limit is {}",
                                                     result.iterations, scram_iterations_max));
    return result;
}

Result<ScramKeys> ScramClient::keys_for(const Challenge& challenge) const {
    if (const auto* password = std::get_if<SecretText>(&credential_))
        return derive_keys(password->reveal(), challenge.salt, challenge.iterations);
    const PassThrough& learned = std::get<PassThrough>(credential_);
    if (learned.salt != challenge.salt || learned.iterations != challenge.iterations)
        return fail(Errc::denied,
                    "cannot log in with the client's SCRAM keys: the server has another verifier for the user",
                    "store here what the server has in pg_authid.rolpassword, or use auth_query");
    return learned.keys;
}

Result<std::string> ScramClient::proceed(std::string_view server_first) {
    if (std::exchange(state_, State::over) != State::opened) return malformed("a challenge out of turn");
    const auto challenge = read_challenge(server_first);
    if (!challenge) return std::unexpected(challenge.error());
    const auto keys = keys_for(*challenge);
    if (!keys) return std::unexpected(keys.error());

    const std::string binding = gs2_header_ + (gs2_header_[0] == 'p' ? options_.channel_binding : std::string());
    const std::string without_proof = fmt::format("c={},r={}", base64_encode(binding).reveal(), challenge->nonce);
    const std::string signed_text = fmt::format("{},{},{}", client_first_bare_, server_first, without_proof);
    const Key stored_key = sha256(keys->client_key.reveal());
    const Key proof = keys->client_key ^ hmac_sha256(stored_key.reveal(), signed_text);
    server_signature_ = hmac_sha256(keys->server_key.reveal(), signed_text);
    state_ = State::proven;
    return fmt::format("{},p={}", without_proof, base64_encode(proof.reveal()).reveal());
}

Result<> ScramClient::finish(std::string_view server_final) {
    if (std::exchange(state_, State::over) != State::proven) return malformed("a final message out of turn");
    if (!is_acceptable(server_final)) return malformed("it has a zero byte or is too long");
    ScramAttributes attributes(server_final);
    if (const auto error = attributes.take('e'))
        return fail(Errc::denied, fmt::format("the server ended the SCRAM login: {}", harmless(*error)));
    const auto text = attributes.take('v');
    if (!text || !attributes.at_end()) return malformed("it has no signature at its end");
    const auto signature = base64_decode(*text);
    if (!signature || signature->size() != Key::size) return malformed("its signature is not 32 bytes of base64");
    if (!Key(signature->reveal()).equals(server_signature_))
        return fail(Errc::denied, "the server's SCRAM signature is wrong: it does not know the password",
                    "is this the server that was meant?");
    state_ = State::succeeded;
    return {};
}

}  // namespace pgkeel::auth
