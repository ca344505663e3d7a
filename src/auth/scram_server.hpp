#pragma once
#include "auth/scram.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::auth {

/// Our end of a client's SCRAM login: AuthenticationSASL offers mechanisms(), then
/// first() answers SASLInitialResponse with the data of AuthenticationSASLContinue, and
/// last() answers SASLResponse with the data of AuthenticationSASLFinal.
/// All of it is cheap. After any error the exchange is over, and so is the client's connection.
/// Errors of both: denied, "password authentication failed" and nothing more precise; invalid_input, when the message
/// is not SCRAM (SQLSTATE 08P01): it quotes nothing of the client's, and does not depend on who the user is.
class ScramServer {
  public:
    /// Whom the client says it is.
    struct User {
        ScramVerifier verifier;
        bool exists = true;  ///< false: the verifier is from MockVerifiers, and every proof is wrong
    };

    /// `channel_binding`: end_point_binding() of the certificate this client was shown; empty without TLS, or without
    /// one. `nonce`: empty for a random one.
    ScramServer(User user, std::string channel_binding, std::string nonce = {})
        : user_(std::move(user)), channel_binding_(std::move(channel_binding)), nonce_(std::move(nonce)) {}

    /// What to offer, best first.
    std::vector<std::string_view> mechanisms() const;

    /// `mechanism`: what the client chose. Also unavailable (no randomness).
    Result<std::string> first(std::string_view mechanism, std::string_view client_first);
    Result<std::string> last(std::string_view client_final);

    bool succeeded() const { return state_ == State::succeeded; }
    /// After success: what logs this user in to a server with the same verifier. Keep it with the user who logged in,
    /// never with one that the configuration forces, and drop it when a server refuses it.
    const PassThrough& pass_through() const { return pass_through_; }

  private:
    enum class State { begun, challenged, succeeded, over };

    Result<std::string> read_header(bool plus, std::string_view client_first);
    Result<std::string> challenge(std::string_view client_first_bare);
    Result<std::string> judge(std::string_view client_final);

    User user_;
    std::string channel_binding_;
    std::string nonce_;  ///< ours, then the client's followed by ours
    State state_ = State::begun;
    std::string gs2_header_;         ///< "n,,", "y,," or "p=tls-server-end-point,,"
    std::string client_first_bare_;  ///< the parts of what both sides sign
    std::string server_first_;
    PassThrough pass_through_;
};

}  // namespace pgkeel::auth
