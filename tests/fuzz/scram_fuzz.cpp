#include "auth/scram_client.hpp"
#include "auth/scram_server.hpp"
#include "require.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// Both ends of SCRAM against strangers. The first byte chooses what is fed: a stored verifier, a client's two messages
// or a server's two, each pair divided by a line end. Nonces are fixed, so an input means the same every time.

namespace {

using namespace pgkeel;
using namespace pgkeel::auth;

const ScramVerifier& known() {
    static const ScramVerifier verifier = make_verifier("pencil", "0123456789abcdef", 1).value();
    return verifier;
}

const ScramKeys& keys() {
    static const ScramKeys derived = derive_keys("pencil", "0123456789abcdef", 1).value();
    return derived;
}

void stored(std::string_view text) {
    const auto verifier = ScramVerifier::parse(text);
    if (!verifier) return;
    REQUIRE(!verifier->salt.empty() && verifier->iterations >= 1);
    const auto again = ScramVerifier::parse(verifier->text().reveal());
    REQUIRE(again.has_value() && again->salt == verifier->salt && again->iterations == verifier->iterations);
    REQUIRE(again->stored_key.equals(verifier->stored_key) && again->server_key.equals(verifier->server_key));
}

/// Whatever a client says: the one who exists and the one who does not hear the same, but for the success.
void client(std::string_view first, std::string_view second, const std::string& binding) {
    const std::string_view mechanism = binding.empty() ? scram_sha_256 : scram_sha_256_plus;
    ScramServer server({known(), true}, binding, "fixed");
    ScramServer mock({known(), false}, binding, "fixed");
    const auto challenge = server.first(mechanism, first);
    const auto mocked = mock.first(mechanism, first);
    REQUIRE(challenge.has_value() == mocked.has_value());
    if (challenge) {
        REQUIRE(*challenge == *mocked);
        REQUIRE(challenge->find('\n') == std::string::npos && challenge->find(",i=1") != std::string::npos);
    } else {
        REQUIRE(challenge.error().line() == mocked.error().line());
    }
    const auto answer = server.last(second);
    const auto refused = mock.last(second);
    REQUIRE(!refused && !mock.succeeded());
    REQUIRE(answer.has_value() == server.succeeded());
    if (answer) {
        REQUIRE(server.pass_through().keys.client_key.equals(keys().client_key));
        REQUIRE(refused.error().code == Errc::denied);
    } else {
        REQUIRE(answer.error().line() == refused.error().line());
    }
}

void server(std::string_view first, std::string_view second, const std::string& binding) {
    const PassThrough learned{.keys = keys(), .salt = "0123456789abcdef", .iterations = 1};
    ScramClient login(learned,
                      {.channel_binding = binding, .require_channel_binding = false, .user = {}, .nonce = "abc"});
    constexpr std::array<std::string_view, 2> offered{scram_sha_256_plus, scram_sha_256};
    REQUIRE(login.begin(offered).has_value());
    const auto proof = login.proceed(first);
    if (proof) REQUIRE(proof->size() <= 2 * scram_message_max_bytes && proof->find('\0') == std::string::npos);
    const auto done = login.finish(second);
    REQUIRE(done.has_value() == login.succeeded());
    if (done) REQUIRE(proof.has_value() && second.starts_with("v="));
    if (!done)
        for (const char c : done.error().line()) REQUIRE(c >= ' ' && c <= '~');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto half = text.find('\n');
    const std::string_view first = text.substr(0, half);
    const std::string_view second = half == std::string_view::npos ? std::string_view() : text.substr(half + 1);
    switch (data[0]) {
        case 'v':
            stored(text);
            break;
        case 'c':
            client(first, second, {});
            break;
        case 'C':
            client(first, second, "binding");
            break;
        case 's':
            server(first, second, {});
            break;
        case 'S':
            server(first, second, "binding");
            break;
        default:
            break;
    }
    return 0;
}
