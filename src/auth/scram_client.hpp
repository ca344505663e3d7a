#pragma once
#include "auth/scram.hpp"
#include "base/result.hpp"

#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace pgkeel::auth {

/// Our end of a login to a server, which is a stranger too until finish() has succeeded:
/// begin() answers AuthenticationSASL with a SASLInitialResponse, proceed() answers AuthenticationSASLContinue, and
/// finish() judges AuthenticationSASLFinal. AuthenticationOk counts only once succeeded(). After any error it is over.
/// Errors: invalid_input, the server does not speak SCRAM as it should; denied, see each; unavailable (no randomness).
class ScramClient {
  public:
    /// A password, or the keys of a client that has logged in to us.
    using Credential = std::variant<SecretText, PassThrough>;

    struct Options {
        /// end_point_binding() of the server's certificate; empty without TLS. Used when the server offers it.
        std::string channel_binding;
        /// Fail where the server does not offer it.
        bool require_channel_binding = false;
        /// PostgreSQL ignores it and takes the startup message's, so its clients leave it empty.
        std::string user;
        /// Empty for a random one.
        std::string nonce;
    };

    ScramClient(Credential credential, Options options)
        : credential_(std::move(credential)), options_(std::move(options)) {}

    struct Initial {
        std::string_view mechanism;
        std::string message;
    };
    /// `offered`: the names in AuthenticationSASL. denied: none of them will do.
    Result<Initial> begin(std::span<const std::string_view> offered);

    /// EXPENSIVE with a password (up to scram_iterations_max rounds, which the server chooses): run it on a worker
    /// thread, and leave the object alone meanwhile. Cheap with keys. denied: the keys belong to another verifier than
    /// the server's, so the client's password is needed.
    Result<std::string> proceed(std::string_view server_first);

    /// denied: the server reports an error, or its signature shows that it does not know the password.
    Result<> finish(std::string_view server_final);

    bool succeeded() const { return state_ == State::succeeded; }

  private:
    enum class State { begun, opened, proven, succeeded, over };
    struct Challenge {
        std::string nonce;
        std::string salt;
        std::uint32_t iterations = 0;
    };

    Result<Challenge> read_challenge(std::string_view server_first) const;
    Result<ScramKeys> keys_for(const Challenge& challenge) const;

    Credential credential_;
    Options options_;
    State state_ = State::begun;
    std::string gs2_header_;
    std::string client_first_bare_;
    Key server_signature_;  ///< what the server must answer
};

}  // namespace pgkeel::auth
