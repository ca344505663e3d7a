#pragma once
#include "base/result.hpp"
#include "config/pooler.hpp"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace pgkeel::engine {

using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// What {client,server}_tls_* of the settings say for one side.
struct TlsFiles {
    config::TlsMode mode = config::TlsMode::disable;
    std::string certificate_file = {}, key_file = {}, ca_file = {};
    std::string protocols = "secure";  ///< "secure" (1.2, 1.3), "all", or a list: "tlsv1.2,tlsv1.3"
    std::string ciphers = "default";   ///< up to TLS 1.2: an OpenSSL list; "default", "secure", "normal", "all"
    std::string tls13_ciphers = {};    ///< OpenSSL suites; empty: its own
    std::string dheparams = "auto", ecdhcurve = "auto";
};
TlsFiles client_tls(const config::PoolerSettings& settings);
TlsFiles server_tls(const config::PoolerSettings& settings);

/// For connections of our clients, where we are the TLS server: null when the mode is disable. With `allow`, `prefer`,
/// `require` a client certificate is asked for only when there is a CA file; verify_ca and verify_full demand one.
/// ALPN "postgresql" is selected when it is offered. No renegotiation, no compression, no tickets; idle connections
/// hold no buffers. Errors: invalid_input, naming setting, file and cause.
Result<TlsContext> client_side_context(const TlsFiles& files);
/// For our connections to servers: verifies from verify_ca on.
Result<TlsContext> server_side_context(const TlsFiles& files);

}  // namespace pgkeel::engine
