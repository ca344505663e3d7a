#pragma once
#include "auth/scram_client.hpp"
#include "pool/server.hpp"

#include <optional>
#include <vector>

namespace pgkeel::pool {

/// How we prove to a server who we are.
struct ServerCredential {
    std::optional<auth::Secret> secret;
    std::shared_ptr<const auth::PassThrough> keys;
    auth::SecretText shown;  ///< in clear, by a client
};

struct Server::Login {
    std::string host;  ///< as it was configured: what its certificate is for
    std::vector<Setting> reported;
    ServerCredential credential;
    std::unique_ptr<auth::ScramClient> scram;
    bool waits_for_tls_answer = false;
    bool waits_for_proof = false;  ///< a helper thread works it out
    bool authenticated = false;
    bool waits_for_promotion = false;  ///< it has logged in where nobody may write yet
};

}  // namespace pgkeel::pool
