#include "base/handles.hpp"
#include "engine/tls.hpp"

#include <fmt/format.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace pgkeel::engine {
namespace {

using config::TlsMode;

/// "ssl_ca_file is wrong" helps nobody who has two of them.
struct Side {
    std::string_view prefix;  ///< of the settings
    std::string setting(std::string_view name) const { return fmt::format("{}_{}", prefix, name); }
};

std::string openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason != nullptr ? reason : "unknown cause";
}

/// OpenSSL names a missing file in some of its errors and not in others.
Result<> readable(const Side& side, std::string_view name, const std::string& file) {
    std::FILE* handle = std::fopen(file.c_str(), "rbe");
    if (handle == nullptr)
        return fail(Errc::invalid_input,
                    fmt::format("{}: cannot read '{}': {}", side.setting(name), file, std::strerror(errno)),
                    "check the path, and that the user who runs pgkeel may read it");
    std::fclose(handle);
    return {};
}

/// An encrypted key would make OpenSSL ask on the terminal.
int no_password(char*, int, int, void*) {
    return -1;
}

Result<> use_certificate(SSL_CTX* context, const Side& side, const TlsFiles& files) {
    if (auto done = readable(side, "cert_file", files.certificate_file); !done) return done;
    if (auto done = readable(side, "key_file", files.key_file); !done) return done;
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate_file.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: '{}' holds no usable PEM certificate: {}", side.setting("cert_file"),
                                files.certificate_file, openssl_reason()),
                    "is it the right file, and in PEM format?");
    if (SSL_CTX_use_PrivateKey_file(context, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: '{}' holds no usable PEM private key: {}", side.setting("key_file"),
                                files.key_file, openssl_reason()),
                    "is it the right file, not encrypted, and does it belong to the certificate?");
    if (SSL_CTX_check_private_key(context) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: the private key in '{}' does not fit the certificate in '{}': {}",
                                side.setting("key_file"), files.key_file, files.certificate_file, openssl_reason()),
                    "were both files replaced?");
    return {};
}

Result<> use_ca(SSL_CTX* context, const Side& side, const std::string& file) {
    if (auto done = readable(side, "ca_file", file); !done) return done;
    if (SSL_CTX_load_verify_file(context, file.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: '{}' holds no usable PEM certificate: {}", side.setting("ca_file"), file,
                                openssl_reason()),
                    "is it the right file, and in PEM format?");
    return {};
}

struct Version {
    std::string_view name;
    unsigned long off;  ///< the option that forbids it
};
constexpr std::array versions{Version{"tlsv1.0", SSL_OP_NO_TLSv1}, Version{"tlsv1.1", SSL_OP_NO_TLSv1_1},
                              Version{"tlsv1.2", SSL_OP_NO_TLSv1_2}, Version{"tlsv1.3", SSL_OP_NO_TLSv1_3}};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

Result<> use_protocols(SSL_CTX* context, const Side& side, const std::string& list) {
    std::string text = list;
    std::ranges::replace(text, ':', ',');
    std::array<bool, versions.size()> wanted{};
    const auto want = [&wanted](std::string_view word) {
        const bool all = word == "all" || word == "legacy";
        const bool secure = word == "secure" || word == "default";
        bool known = all || secure;
        for (std::size_t i = 0; i < versions.size(); ++i) {
            const bool meant = all || (secure && i >= 2) || word == versions[i].name || (word == "tlsv1" && i <= 3);
            wanted[i] = wanted[i] || meant;
            known = known || meant;
        }
        return known;
    };
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t to = std::min(text.find(',', from), text.size());
        const std::string_view word = trimmed(std::string_view(text).substr(from, to - from));
        if (!want(word))
            return fail(Errc::invalid_input, fmt::format("{}: '{}' is no TLS version", side.setting("protocols"), word),
                        "write secure, all, or a list of tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3");
        from = to + 1;
    }
    // The library's own minimum would win otherwise.
    SSL_CTX_set_min_proto_version(context, wanted[0] || wanted[1] ? TLS1_VERSION : TLS1_2_VERSION);
    for (std::size_t i = 0; i < versions.size(); ++i)
        if (!wanted[i]) SSL_CTX_set_options(context, versions[i].off);
    return {};
}

Result<> use_ciphers(SSL_CTX* context, const Side& side, const TlsFiles& files) {
    std::string list = files.ciphers;
    if (list.empty() || list == "default" || list == "fast" || list == "normal") list = "HIGH:MEDIUM:+3DES:!aNULL";
    if (list == "secure") list = "HIGH:!aNULL";
    if (list == "all") list = "ALL:!aNULL:!eNULL";
    if (SSL_CTX_set_cipher_list(context, list.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: the cipher list '{}' cannot be used: {}", side.setting("ciphers"), files.ciphers,
                                openssl_reason()),
                    "see openssl-ciphers(1)");
    // The word of the pooler's users for it is tls13_ciphers, without the side's "tls_".
    const std::string_view who = side.prefix.substr(0, side.prefix.find('_'));
    if (!files.tls13_ciphers.empty() && SSL_CTX_set_ciphersuites(context, files.tls13_ciphers.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}_tls13_ciphers: failed to set the TLSv1.3 cipher suites '{}': {}", who,
                                files.tls13_ciphers, openssl_reason()),
                    "see openssl-ciphers(1), for example TLS_AES_256_GCM_SHA384");
    return {};
}

Result<> use_key_exchange(SSL_CTX* context, const Side& side, const TlsFiles& files) {
    if (files.dheparams == "auto" || files.dheparams == "legacy")
        SSL_CTX_set_dh_auto(context, 1);
    else if (files.dheparams != "none")
        return fail(Errc::invalid_input, fmt::format("{}: '{}' is unknown", side.setting("dheparams"), files.dheparams),
                    "write auto, none or legacy");
    if (files.ecdhcurve == "auto" || files.ecdhcurve == "none" || files.ecdhcurve.empty()) return {};
    if (SSL_CTX_set1_curves_list(context, files.ecdhcurve.c_str()) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("{}: '{}' is no curve that OpenSSL knows: {}", side.setting("ecdhcurve"),
                                files.ecdhcurve, openssl_reason()),
                    "openssl ecparam -list_curves shows them");
    return {};
}

Result<TlsContext> new_context(const SSL_METHOD* method, const Side& side, const TlsFiles& files) {
    ERR_clear_error();
    TlsContext context(SSL_CTX_new(method), FreeWith<SSL_CTX_free>());
    if (!context)
        return fail(Errc::io_error, fmt::format("OpenSSL could not make a TLS context: {}", openssl_reason()));
    SSL_CTX* raw = context.get();
    // A peer that goes without close_notify has gone, which is no error: the protocol has an end of its own.
    SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_mode(raw,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(raw, no_password);
    if (auto done = use_protocols(raw, side, files.protocols); !done) return std::unexpected(std::move(done.error()));
    if (auto done = use_ciphers(raw, side, files); !done) return std::unexpected(std::move(done.error()));
    if (auto done = use_key_exchange(raw, side, files); !done) return std::unexpected(std::move(done.error()));
    return context;
}

/// PostgreSQL's name in IANA's registry; whoever offers only others means another service.
int select_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
    static constexpr unsigned char ours[] = "\x0apostgresql";
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, ours, sizeof ours - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsFiles client_tls(const config::PoolerSettings& settings) {
    return {.mode = settings.client_tls_sslmode,
            .certificate_file = settings.client_tls_cert_file,
            .key_file = settings.client_tls_key_file,
            .ca_file = settings.client_tls_ca_file,
            .protocols = settings.client_tls_protocols,
            .ciphers = settings.client_tls_ciphers,
            .tls13_ciphers = settings.client_tls13_ciphers,
            .dheparams = settings.client_tls_dheparams,
            .ecdhcurve = settings.client_tls_ecdhcurve};
}

TlsFiles server_tls(const config::PoolerSettings& settings) {
    return {.mode = settings.server_tls_sslmode,
            .certificate_file = settings.server_tls_cert_file,
            .key_file = settings.server_tls_key_file,
            .ca_file = settings.server_tls_ca_file,
            .protocols = settings.server_tls_protocols,
            .ciphers = settings.server_tls_ciphers,
            .tls13_ciphers = settings.server_tls13_ciphers};
}

Result<TlsContext> client_side_context(const TlsFiles& files) {
    if (files.mode == TlsMode::disable) return TlsContext();
    const Side side{"client_tls"};
    if (files.certificate_file.empty() || files.key_file.empty())
        return fail(Errc::invalid_input,
                    fmt::format("client_tls_sslmode is {}, and there is no certificate or no key",
                                config::to_string(files.mode)),
                    "set client_tls_cert_file and client_tls_key_file");
    auto context = new_context(TLS_server_method(), side, files);
    if (!context) return context;
    SSL_CTX* raw = context->get();
    if (auto done = use_certificate(raw, side, files); !done) return std::unexpected(std::move(done.error()));
    SSL_CTX_set_alpn_select_cb(raw, select_protocol, nullptr);
    // As PostgreSQL's own: libpq makes room for 8 kB. Of a longer record the rest stays in OpenSSL's buffer, where
    // programs that wait for the socket themselves (pg_basebackup, pg_receivewal) do not see it.
    SSL_CTX_set_max_send_fragment(raw, 8192);
    const bool demanded = files.mode == TlsMode::verify_ca || files.mode == TlsMode::verify_full;
    if (files.ca_file.empty()) {
        if (!demanded) return context;
        return fail(Errc::invalid_input,
                    fmt::format("client_tls_sslmode is {}, and there is no CA to check client certificates with",
                                config::to_string(files.mode)),
                    "set client_tls_ca_file");
    }
    if (auto done = use_ca(raw, side, files.ca_file); !done) return std::unexpected(std::move(done.error()));
    SSL_CTX_set_client_CA_list(raw, SSL_load_client_CA_file(files.ca_file.c_str()));
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    return context;
}

Result<TlsContext> server_side_context(const TlsFiles& files) {
    if (files.mode == TlsMode::disable) return TlsContext();
    const Side side{"server_tls"};
    auto context = new_context(TLS_client_method(), side, files);
    if (!context) return context;
    SSL_CTX* raw = context->get();
    if (files.certificate_file.empty() != files.key_file.empty())
        return fail(Errc::invalid_input, "server_tls_cert_file and server_tls_key_file are set together or not at all");
    if (!files.certificate_file.empty())
        if (auto done = use_certificate(raw, side, files); !done) return std::unexpected(std::move(done.error()));
    // A file that is named has to be right, even while nothing is verified with it.
    if (!files.ca_file.empty())
        if (auto done = use_ca(raw, side, files.ca_file); !done) return std::unexpected(std::move(done.error()));
    if (files.mode != TlsMode::verify_ca && files.mode != TlsMode::verify_full) return context;
    if (files.ca_file.empty() && SSL_CTX_set_default_verify_paths(raw) != 1)
        return fail(Errc::invalid_input,
                    fmt::format("the system's CA certificates could not be loaded: {}", openssl_reason()),
                    "install ca-certificates, or set server_tls_ca_file");
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
    return context;
}

}  // namespace pgkeel::engine
