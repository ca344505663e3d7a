#pragma once
#include "auth/scram.hpp"

#include <string>
#include <string_view>

namespace pgkeel::auth {

/// Verifiers for users who do not exist, so that asking tells nobody who does. One name gets one salt, whenever it
/// asks: a salt that changed would give it away. Keep one object for the life of the process.
class MockVerifiers {
  public:
    /// `secret`: known to nobody else. The same secret in every process of a cluster keeps the salts over a restart.
    explicit MockVerifiers(Key secret) : secret_(std::move(secret)) {}
    /// With a secret of its own. Errors: unavailable (no randomness).
    static Result<MockVerifiers> fresh();

    /// 16 bytes. Also the salt for make_verifier(), where the user exists but is stored in plain text.
    std::string salt_for(std::string_view user) const;
    /// Nobody has a password for it. `iterations`: those of the users who exist.
    ScramVerifier verifier_for(std::string_view user, std::uint32_t iterations = scram_iterations_default) const;

  private:
    Key secret_;
};

}  // namespace pgkeel::auth
