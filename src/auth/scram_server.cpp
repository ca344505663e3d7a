#include "auth/scram_server.hpp"

#include "auth/base64.hpp"
#include "auth/channel_binding.hpp"
#include "auth/scram_attributes.hpp"

#include <fmt/format.h>

#include <utility>

namespace pgkeel::auth {

namespace {

constexpr std::size_t nonce_bytes = 18;  // PostgreSQL's; 24 characters

std::unexpected<Error> malformed(std::string_view what) {
    return fail(Errc::invalid_input, fmt::format("malformed SCRAM message: {}", what));
}

bool is_acceptable(std::string_view message) {
    return message.size() <= scram_message_max_bytes && message.find('\0') == std::string_view::npos;
}

}  // namespace

std::vector<std::string_view> ScramServer::mechanisms() const {
    if (channel_binding_.empty()) return {scram_sha_256};
    return {scram_sha_256_plus, scram_sha_256};
}

Result<std::string> ScramServer::first(std::string_view mechanism, std::string_view client_first) {
    if (std::exchange(state_, State::over) != State::begun) return malformed("a first message out of turn");
    const bool plus = mechanism == scram_sha_256_plus && !channel_binding_.empty();
    if (!plus && mechanism != scram_sha_256)
        return fail(Errc::invalid_input, "the client chose a SASL mechanism that was not offered");
    if (!is_acceptable(client_first)) return malformed("it has a zero byte or is too long");

    auto header = read_header(plus, client_first);
    if (!header) return header;
    gs2_header_ = *std::move(header);
    auto answer = challenge(client_first.substr(gs2_header_.size()));
    if (answer) state_ = State::challenged;
    return answer;
}

/// RFC 5802 §6: `p` must name the binding that is in use; `y` says "I can, you cannot", which is a lie of somebody in
/// between when the -PLUS mechanism was offered.
Result<std::string> ScramServer::read_header(bool plus, std::string_view client_first) {
    std::string header;
    if (client_first.starts_with("p=")) {
        if (!plus) return malformed("channel binding with a mechanism that has none");
        header = fmt::format("p={},", tls_server_end_point);
        if (!client_first.starts_with(header))
            return malformed("a channel binding type that is not tls-server-end-point");
    } else if (client_first.starts_with("n,") || client_first.starts_with("y,")) {
        if (plus) return malformed("a mechanism with channel binding, but no channel binding");
        if (client_first[0] == 'y' && !channel_binding_.empty())
            return fail(Errc::denied, "the client believes that this server has no channel binding, but it was offered",
                        "is somebody between the client and this server?");
        header = client_first.substr(0, 2);
    } else {
        return malformed("no channel binding flag");
    }
    const std::string_view rest = client_first.substr(header.size());
    if (rest.starts_with("a=")) return malformed("an authorization identity, which PostgreSQL does not have");
    if (!rest.starts_with(',')) return malformed("the header does not end");
    return header + ',';
}

Result<std::string> ScramServer::challenge(std::string_view client_first_bare) {
    ScramAttributes attributes(client_first_bare);
    if (attributes.take('m')) return malformed("a mandatory extension");
    // The name is the startup message's; what stands here is ignored, as PostgreSQL does.
    if (!attributes.take('n')) return malformed("no user name");
    const auto client_nonce = attributes.take('r');
    if (!client_nonce || !is_scram_nonce(*client_nonce)) return malformed("no nonce");
    while (!attributes.at_end())
        if (!attributes.skip()) return malformed("something that is no extension");

    if (nonce_.empty()) {
        const auto random = random_bytes(nonce_bytes);
        if (!random) return std::unexpected(random.error());
        nonce_ = base64_encode(*random).reveal();
    }
    nonce_.insert(0, *client_nonce);
    client_first_bare_ = client_first_bare;
    server_first_ =
        fmt::format("r={},s={},i={}", nonce_, base64_encode(user_.verifier.salt).reveal(), user_.verifier.iterations);
    return server_first_;
}

Result<std::string> ScramServer::last(std::string_view client_final) {
    if (std::exchange(state_, State::over) != State::challenged) return malformed("a final message out of turn");
    if (!is_acceptable(client_final)) return malformed("it has a zero byte or is too long");
    auto answer = judge(client_final);
    if (answer) state_ = State::succeeded;
    return answer;
}

Result<std::string> ScramServer::judge(std::string_view client_final) {
    ScramAttributes attributes(client_final);
    const auto binding = attributes.take('c');
    if (!binding) return malformed("no channel binding");
    const std::string expected = gs2_header_ + (gs2_header_[0] == 'p' ? channel_binding_ : std::string());
    // Base64 has one spelling, so the texts are compared.
    if (*binding != base64_encode(expected).reveal()) {
        if (gs2_header_[0] == 'p')
            return fail(Errc::denied, "the client's channel binding belongs to another TLS connection",
                        "is somebody between the client and this server?");
        return malformed("its channel binding is not that of the first message");
    }
    const auto nonce = attributes.take('r');
    if (!nonce || *nonce != nonce_) return malformed("its nonce is not that of the first message");
    // `p` is the last attribute; there may be extensions in front of it.
    while (!attributes.at_end() && !attributes.rest().starts_with("p="))
        if (!attributes.skip()) return malformed("something that is no extension");
    const std::string_view proof_begins = attributes.rest();
    const auto proof_text = attributes.take('p');
    if (!proof_text || !attributes.at_end()) return malformed("no proof at its end");
    const auto proof = base64_decode(*proof_text);
    if (!proof || proof->size() != Key::size) return malformed("the proof is not 32 bytes of base64");

    // Up to the comma in front of the proof.
    const std::string_view without_proof = client_final.substr(0, client_final.size() - proof_begins.size() - 1);
    const std::string signed_text = fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
    const ScramVerifier& verifier = user_.verifier;
    const Key client_key = Key(proof->reveal()) ^ hmac_sha256(verifier.stored_key.reveal(), signed_text);
    const bool proven = sha256(client_key.reveal()).equals(verifier.stored_key);
    const Key signature = hmac_sha256(verifier.server_key.reveal(), signed_text);
    if (!proven || !user_.exists) return fail(Errc::denied, "password authentication failed");

    pass_through_ = {.keys = {.client_key = client_key, .server_key = verifier.server_key},
                     .salt = verifier.salt,
                     .iterations = verifier.iterations};
    return fmt::format("v={}", base64_encode(signature.reveal()).reveal());
}

}  // namespace pgkeel::auth
