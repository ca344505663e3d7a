#include "engine/tls_stream.hpp"

#include <fmt/format.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

bool is_address(const std::string& host) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
    ERR_clear_error();
    ASN1_OCTET_STRING_free(address);
    return address != nullptr;
}

bool expect_host(SSL* ssl, const std::string& host, bool verify) {
    if (host.empty()) return !verify;
    const bool by_address = is_address(host);
    // RFC 6066 §3: addresses are not sent as a server name.
    if (!by_address && SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) return false;
    if (!verify) return true;
    X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return by_address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                      : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) == 1;
}

/// Of a common name, as PostgreSQL takes it: a zero byte inside could pass for another, shorter name.
std::string common_name(const X509* certificate) {
    const X509_NAME* subject = X509_get_subject_name(certificate);
    const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (place < 0) return {};
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
    if (size < 0) return {};
    std::string name(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    return name.find('\0') == std::string::npos ? name : std::string();
}

std::string der(const X509* certificate) {
    if (certificate == nullptr) return {};
    const int size = i2d_X509(certificate, nullptr);
    if (size <= 0) return {};
    std::string bytes(static_cast<std::size_t>(size), '\0');
    auto* at = reinterpret_cast<unsigned char*>(bytes.data());
    i2d_X509(certificate, &at);
    return bytes;
}

}  // namespace

int TlsStream::Channel::read(BIO* bio, char* into, int size) {
    auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    const auto room = static_cast<std::size_t>(size);
    if (!channel.first_bytes.empty()) {
        const std::size_t taken = std::min(room, channel.first_bytes.size());
        std::memcpy(into, channel.first_bytes.data(), taken);
        channel.first_bytes.erase(0, taken);
        if (channel.first_bytes.empty()) channel.first_bytes = std::string();
        return static_cast<int>(taken);
    }
    ssize_t got = -1;
    errno = EAGAIN;
    if (channel.has_input) do {
            got = ::recv(channel.socket, into, room, 0);
        } while (got < 0 && errno == EINTR);
    // A short read has emptied the socket: asking again would be a system call for nothing.
    if (!channel.until_end && got < static_cast<ssize_t>(room)) channel.has_input = false;
    if (got == 0) channel.ended = true;
    if (got < 0 && errno == EAGAIN) {
        channel.has_input = false;
        BIO_set_retry_read(bio);
    }
    return static_cast<int>(got);
}

int TlsStream::Channel::write(BIO* bio, const char* from, int size) {
    const auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    ssize_t sent;
    do {
        sent = ::send(channel.socket, from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

long TlsStream::Channel::control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return static_cast<Channel*>(BIO_get_data(bio))->ended ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// OpenSSL's own socket BIO would raise SIGPIPE, and knows nothing of edges.
const BIO_METHOD* TlsStream::method() {
    static const BIO_METHOD* const made = [] {
        BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
        BIO_meth_set_read(fresh, Channel::read);
        BIO_meth_set_write(fresh, Channel::write);
        BIO_meth_set_ctrl(fresh, Channel::control);
        return fresh;
    }();
    return made;
}

Result<std::unique_ptr<TlsStream>> TlsStream::create(int socket, const Request& request, std::string first_bytes) {
    ERR_clear_error();
    auto stream = std::make_unique<TlsStream>();
    stream->channel_.socket = socket;
    stream->direct_ = !first_bytes.empty();
    stream->channel_.first_bytes = std::move(first_bytes);
    stream->ssl_.reset(SSL_new(request.context.get()));
    BIO* bio = stream->ssl_ ? BIO_new(method()) : nullptr;
    if (bio == nullptr) return fail(Errc::io_error, "OpenSSL has no memory for a connection");
    BIO_set_data(bio, &stream->channel_);
    BIO_set_init(bio, 1);
    SSL* ssl = stream->ssl_.get();
    SSL_set_bio(ssl, bio, bio);
    // One receive for a whole record instead of one for its head and one for its body.
    SSL_set_read_ahead(ssl, 1);
    if (request.as_server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (!expect_host(ssl, request.host, request.verify_host)) {
            ERR_clear_error();
            return fail(Errc::invalid_input, fmt::format("'{}' cannot be the host of a certificate", request.host));
        }
    }
    return stream;
}

void TlsStream::expect_input(bool until_end) {
    channel_.has_input = true;
    channel_.until_end = until_end;
}

void TlsStream::explain(std::string_view what, int result, int saved_errno) {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code != 0) {
        const char* reason = ERR_reason_error_string(code);
        problem_ = fmt::format("{}: {}", what, reason != nullptr ? reason : "unknown cause");
        const long verified = SSL_get_verify_result(ssl_.get());
        if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
            problem_ += fmt::format(" ({})", X509_verify_cert_error_string(verified));
    } else if (result == SSL_ERROR_SYSCALL && saved_errno != 0) {
        problem_ = fmt::format("{}: {}", what, std::strerror(saved_errno));
    } else {
        problem_ = fmt::format("{}: the other side has closed the connection", what);
    }
}

TlsStream::Step TlsStream::handshake() {
    ERR_clear_error();
    errno = 0;
    const int done = SSL_do_handshake(ssl_.get());
    const int saved_errno = errno;
    if (done == 1) {
        if (!direct_) return Step::done;
        const unsigned char* protocol = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
        if (size != 0) return Step::done;
        problem_ = "direct TLS connection without the ALPN protocol \"postgresql\"";
        return Step::failed;
    }
    switch (const int result = SSL_get_error(ssl_.get(), done)) {
        case SSL_ERROR_WANT_READ:
            return Step::wants_read;
        case SSL_ERROR_WANT_WRITE:
            return Step::wants_write;
        default:
            explain("TLS handshake failed", result, saved_errno);
            return Step::failed;
    }
}

TlsStream::Read TlsStream::read(char* into, std::size_t size, std::size_t& got) {
    ERR_clear_error();
    errno = 0;
    if (SSL_read_ex(ssl_.get(), into, size, &got) == 1) return Read::data;
    const int saved_errno = errno;
    switch (const int result = SSL_get_error(ssl_.get(), 0)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return Read::nothing;
        case SSL_ERROR_ZERO_RETURN:
            return Read::end;
        default:
            explain("TLS connection failed", result, saved_errno);
            return Read::failed;
    }
}

TlsStream::Read TlsStream::look() {
    char byte;
    std::size_t got = 0;
    ERR_clear_error();
    errno = 0;
    if (SSL_peek_ex(ssl_.get(), &byte, 1, &got) == 1) return Read::data;
    const int saved_errno = errno;
    switch (const int result = SSL_get_error(ssl_.get(), 0)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return Read::nothing;
        case SSL_ERROR_ZERO_RETURN:
            return Read::end;
        default:
            explain("TLS connection failed", result, saved_errno);
            return Read::failed;
    }
}

TlsStream::Write TlsStream::write(std::string_view& bytes) {
    while (!bytes.empty()) {
        ERR_clear_error();
        errno = 0;
        std::size_t written = 0;
        if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1) {
            bytes.remove_prefix(written);
            continue;
        }
        const int saved_errno = errno;
        const int result = SSL_get_error(ssl_.get(), 0);
        if (result == SSL_ERROR_WANT_WRITE || result == SSL_ERROR_WANT_READ) return Write::blocked;
        explain("TLS connection failed", result, saved_errno);
        return Write::failed;
    }
    return Write::all;
}

void TlsStream::close_notify() {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

const pool::TlsFacts& TlsStream::facts() {
    if (facts_) return *facts_;
    facts_ = std::make_unique<pool::TlsFacts>();
    SSL* ssl = ssl_.get();
    facts_->version = SSL_get_version(ssl);
    facts_->cipher = SSL_get_cipher_name(ssl);
    const X509* peer = SSL_get0_peer_certificate(ssl);
    facts_->peer_verified =
        peer != nullptr && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl) == X509_V_OK;
    if (facts_->peer_verified) facts_->peer_common_name = common_name(peer);
    facts_->server_certificate = der(SSL_is_server(ssl) == 1 ? SSL_get_certificate(ssl) : peer);
    return *facts_;
}

}  // namespace pgkeel::engine
