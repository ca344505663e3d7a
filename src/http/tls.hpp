#pragma once
#include "base/result.hpp"
#include "http/client.hpp"
#include "http/server.hpp"

#include <memory>

struct ssl_ctx_st;
struct ssl_st;

namespace pgkeel::http {

/// An OpenSSL SSL_CTX: TLS 1.2 or newer, without compression, renegotiation and session tickets. A connection that was
/// made from it keeps it alive.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// Reads the files now. Errors: invalid_input, naming the file and the cause; never the password.
Result<TlsContext> server_context(const ServerTls& tls);
/// The same for a client; without `ca_file` the system's certificates are loaded, about 1 MB.
Result<TlsContext> client_context(const ClientTls& tls);

/// Sets the name that `ssl` asks for (SNI) and, when the context verifies, the name or address the certificate must be
/// for.
Result<> expect_host(ssl_st* ssl, const std::string& host);

/// Why the handshake of `ssl` was refused, in words; empty when verification was not the cause.
std::string verification_problem(ssl_st* ssl);
/// The peer presented a certificate and it was verified.
bool has_verified_peer(ssl_st* ssl);

}  // namespace pgkeel::http
