#pragma once
#include "auth/scram_server.hpp"
#include "pool/client.hpp"

#include <memory>
#include <optional>
#include <string>

namespace pgkeel::pool {

/// What a client needs until it has logged in.
struct Client::Login {
    Login();
    pgwire::StartupMessage startup;
    pgwire::ProtocolVersion version{3, 0};  ///< that we speak with it
    config::AuthType method = config::AuthType::trust;
    bool tls_asked = false, gss_asked = false;
    bool database_exists = false, user_exists = false;
    std::optional<auth::Secret> secret;
    auth::Md5Salt salt{};
    std::unique_ptr<auth::ScramServer> scram;
    bool scram_begun = false;
    bool thinking = false;   ///< a helper thread computes, or a server is asked
    bool was_asked = false;  ///< auth_query was run
    bool too_late = false, too_many = false, is_owner = false, certificate_fits = false;
    auth::SecretText shown;  ///< a password sent in clear, and right
    std::shared_ptr<const Welcome> welcome;
    std::unique_ptr<AuthQuery> question;

    ~Login();
};

}  // namespace pgkeel::pool
