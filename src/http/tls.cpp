#include "http/tls.hpp"

#include "base/handles.hpp"

#include <fmt/format.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace pgkeel::http {
namespace {

using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

constexpr const char* readable_hint = "check the path, and that the user who runs pgkeel may read it";

/// The newest reason OpenSSL has for its last failure; empties its queue.
std::string openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason != nullptr ? reason : "unknown cause";
}

Result<Bio> open_file(std::string_view what, const std::string& file) {
    ERR_clear_error();
    std::FILE* handle = std::fopen(file.c_str(), "rbe");
    if (handle == nullptr)
        return fail(Errc::invalid_input,
                    fmt::format("could not read the {} file '{}': {}", what, file, std::strerror(errno)),
                    readable_hint);
    return Bio(BIO_new_fp(handle, BIO_CLOSE));
}

struct Password {
    const std::string& text;
    bool asked = false;
};

/// Without a callback of ours OpenSSL would ask on the terminal.
int give_password(char* buffer, int size, int, void* user) {
    auto* password = static_cast<Password*>(user);
    password->asked = true;
    if (password->text.empty() || password->text.size() > static_cast<std::size_t>(size)) return -1;
    std::ranges::copy(password->text, buffer);
    return static_cast<int>(password->text.size());
}

Result<> use_certificate(SSL_CTX* context, const std::string& file) {
    auto bio = open_file("certificate", file);
    if (!bio) return std::unexpected(std::move(bio.error()));
    Password no_password{.text = {}};
    const Certificate leaf(PEM_read_bio_X509_AUX(bio->get(), nullptr, give_password, &no_password));
    if (!leaf)
        return fail(Errc::invalid_input,
                    fmt::format("the certificate file '{}' holds no PEM certificate: {}", file, openssl_reason()),
                    "is it the right file, and in PEM format?");
    if (SSL_CTX_use_certificate(context, leaf.get()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("the certificate in '{}' cannot be used: {}", file, openssl_reason()),
                    "make one with a key of at least 2048 bits (RSA) or 256 bits (EC) and SHA-256");
    // What follows the leaf is its chain.
    while (X509* next = PEM_read_bio_X509(bio->get(), nullptr, give_password, &no_password)) {
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            return fail(Errc::invalid_input,
                        fmt::format("the chain in '{}' cannot be used: {}", file, openssl_reason()));
        }
    }
    ERR_clear_error();  // the end of the file
    return {};
}

Result<> use_key(SSL_CTX* context, const std::string& file, const std::string& key_password,
                 const std::string& certificate_file) {
    auto bio = open_file("private key", file);
    if (!bio) return std::unexpected(std::move(bio.error()));
    Password password{.text = key_password};
    const PrivateKey key(PEM_read_bio_PrivateKey(bio->get(), nullptr, give_password, &password));
    if (!key) {
        const std::string reason = openssl_reason();
        if (password.asked && key_password.empty())
            return fail(Errc::invalid_input,
                        fmt::format("the private key in '{}' is encrypted and no password is set", file),
                        "set keyfile_password, or decrypt the key");
        if (password.asked)
            return fail(Errc::invalid_input,
                        fmt::format("the private key in '{}' could not be decrypted: {}", file, reason),
                        "is keyfile_password right?");
        return fail(Errc::invalid_input, fmt::format("the file '{}' holds no PEM private key: {}", file, reason),
                    "is it the right file, and in PEM format?");
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("the private key in '{}' does not fit the certificate in '{}': {}", file,
                                certificate_file, openssl_reason()),
                    "were both files replaced?");
    return {};
}

Result<> use_ca(SSL_CTX* context, const std::string& file) {
    auto readable = open_file("CA", file);
    if (!readable) return std::unexpected(std::move(readable.error()));
    if (SSL_CTX_load_verify_file(context, file.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("the CA file '{}' holds no usable PEM certificate: {}", file, openssl_reason()),
                    "is it the right file, and in PEM format?");
    return {};
}

Result<TlsContext> new_context(const SSL_METHOD* method) {
    ERR_clear_error();
    TlsContext context(SSL_CTX_new(method), FreeWith<SSL_CTX_free>());
    if (!context)
        return fail(Errc::io_error, fmt::format("OpenSSL could not make a TLS context: {}", openssl_reason()));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

bool is_address(const std::string& host) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
    ERR_clear_error();
    ASN1_OCTET_STRING_free(address);
    return address != nullptr;
}

}  // namespace

Result<TlsContext> server_context(const ServerTls& tls) {
    auto context = new_context(TLS_server_method());
    if (!context) return context;
    SSL_CTX* raw = context->get();
    if (auto done = use_certificate(raw, tls.certificate_file); !done) return std::unexpected(std::move(done.error()));
    const std::string& key_file = tls.key_file.empty() ? tls.certificate_file : tls.key_file;
    if (auto done = use_key(raw, key_file, tls.key_password, tls.certificate_file); !done)
        return std::unexpected(std::move(done.error()));
    if (!tls.ciphers.empty() && SSL_CTX_set_cipher_list(raw, tls.ciphers.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("the cipher list '{}' cannot be used: {}", tls.ciphers, openssl_reason()),
                    "see openssl-ciphers(1)");
    if (!tls.ca_file.empty())
        if (auto done = use_ca(raw, tls.ca_file); !done) return std::unexpected(std::move(done.error()));
    if (tls.verify_client == VerifyClient::none) return context;
    if (tls.ca_file.empty())
        return fail(Errc::invalid_input,
                    "client certificates are asked for (verify_client), and there is no CA to check them with",
                    "set cafile");
    SSL_CTX_set_client_CA_list(raw, SSL_load_client_CA_file(tls.ca_file.c_str()));
    SSL_CTX_set_verify(
        raw, SSL_VERIFY_PEER | (tls.verify_client == VerifyClient::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
    return context;
}

Result<TlsContext> client_context(const ClientTls& tls) {
    auto context = new_context(TLS_client_method());
    if (!context) return context;
    SSL_CTX* raw = context->get();
    if (!tls.certificate_file.empty()) {
        if (auto done = use_certificate(raw, tls.certificate_file); !done)
            return std::unexpected(std::move(done.error()));
        const std::string& key_file = tls.key_file.empty() ? tls.certificate_file : tls.key_file;
        if (auto done = use_key(raw, key_file, tls.key_password, tls.certificate_file); !done)
            return std::unexpected(std::move(done.error()));
    }
    if (!tls.verify) return context;
    if (!tls.ca_file.empty()) {
        if (auto done = use_ca(raw, tls.ca_file); !done) return std::unexpected(std::move(done.error()));
    } else if (SSL_CTX_set_default_verify_paths(raw) != 1) {
        return fail(Errc::invalid_input,
                    fmt::format("the system's CA certificates could not be loaded: {}", openssl_reason()),
                    "install ca-certificates, or set the CA file");
    }
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
    return context;
}

Result<> expect_host(ssl_st* ssl, const std::string& host) {
    const bool by_address = is_address(host);
    // RFC 6066 §3: addresses are not sent as a server name.
    bool done = by_address || SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
        X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
        X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        done = done && (by_address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                                   : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) == 1);
    }
    if (!done)
        return fail(Errc::invalid_input,
                    fmt::format("'{}' cannot be the host of a certificate: {}", host, openssl_reason()));
    return {};
}

std::string verification_problem(ssl_st* ssl) {
    const long result = SSL_get_verify_result(ssl);
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || result == X509_V_OK) return {};
    return X509_verify_cert_error_string(result);
}

bool has_verified_peer(ssl_st* ssl) {
    return SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get0_peer_certificate(ssl) != nullptr &&
           SSL_get_verify_result(ssl) == X509_V_OK;
}

}  // namespace pgkeel::http
