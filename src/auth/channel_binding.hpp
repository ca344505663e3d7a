#pragma once
#include "base/result.hpp"

#include <string>
#include <string_view>

namespace pgkeel::auth {

/// The one kind of channel binding that PostgreSQL knows.
inline constexpr std::string_view tls_server_end_point = "tls-server-end-point";

/// RFC 5929 §4.1: the hash of the TLS server's certificate (DER), with the hash its signature uses, SHA-256 instead of
/// MD5 and SHA-1. Make it once when a certificate is loaded, or when a server's was received. Errors: invalid_input —
/// not a certificate, or signed in a way that names no hash (Ed25519): then there is no binding.
Result<std::string> end_point_binding(std::string_view certificate_der);

}  // namespace pgkeel::auth
