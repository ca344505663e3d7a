#include "http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <array>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace pgkeel::http {
namespace {

using asio::ip::tcp;
/// How much of a talkative peer finish() listens to.
constexpr std::size_t finish_bytes_max = 4UL * 1024 * 1024;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

Connection::ErrorCode without_truncation(Connection::ErrorCode error) {
    return error == asio::ssl::error::stream_truncated ? asio::error::eof : error;
}

}  // namespace

struct Connection::Tls {
    Tls(tcp::socket& socket, SSL* ssl) : stream(socket, ssl) {}
    asio::ssl::stream<tcp::socket&> stream;
};

Connection::Connection(tcp::socket socket) : socket_(std::move(socket)) {}
Connection::~Connection() = default;

void Connection::expire_at(Clock& clock, Instant when) {
    alarm_ = clock.call_at(when, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->expired_ = true;
        self->close();
    });
}

Task<Connection::ErrorCode> Connection::wait_readable() {
    const auto [error] = co_await socket_.async_wait(tcp::socket::wait_read, as_result);
    co_return error;
}

Task<Connection::ErrorCode> Connection::connect(tcp::endpoint peer) {
    // Children of ours (PostgreSQL, callbacks) must not inherit the socket.
    const int handle = ::socket(peer.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (handle < 0) co_return ErrorCode(errno, boost::system::system_category());
    ErrorCode failed;
    socket_.assign(peer.protocol(), handle, failed);
    if (failed) {
        ::close(handle);
        co_return failed;
    }
    const auto [error] = co_await socket_.async_connect(peer, as_result);
    if (error) co_return error;
    socket_.set_option(tcp::no_delay(true), failed);
    socket_.set_option(asio::socket_base::keep_alive(true), failed);
    co_return ErrorCode();
}

Task<Connection::ErrorCode> Connection::accept_tls(TlsContext context) {
    SSL* ssl = SSL_new(context.get());
    if (ssl == nullptr) co_return asio::error::no_memory;
    tls_ = std::make_unique<Tls>(socket_, ssl);
    ERR_clear_error();
    const auto [error] = co_await tls_->stream.async_handshake(asio::ssl::stream_base::server, as_result);
    co_return error;
}

Task<Connection::ErrorCode> Connection::connect_tls(TlsContext context, std::string host) {
    SSL* ssl = SSL_new(context.get());
    if (ssl == nullptr) co_return asio::error::no_memory;
    tls_ = std::make_unique<Tls>(socket_, ssl);
    if (!expect_host(ssl, host)) co_return asio::error::invalid_argument;
    const auto [error] = co_await tls_->stream.async_handshake(asio::ssl::stream_base::client, as_result);
    co_return error;
}

Task<Connection::Read> Connection::read_some(std::span<char> buffer) {
    const auto space = asio::buffer(buffer.data(), buffer.size());
    if (tls_) {
        const auto [error, bytes] = co_await tls_->stream.async_read_some(space, as_result);
        co_return Read{without_truncation(error), bytes};
    }
    const auto [error, bytes] = co_await socket_.async_read_some(space, as_result);
    co_return Read{error, bytes};
}

Task<Connection::ErrorCode> Connection::write(std::string bytes) {
    if (tls_) {
        const auto [error, sent] = co_await asio::async_write(tls_->stream, asio::buffer(bytes), as_result);
        co_return error;
    }
    const auto [error, sent] = co_await asio::async_write(socket_, asio::buffer(bytes), as_result);
    co_return error;
}

Task<> Connection::finish() {
    // A peer that goes on talking makes an error of TLS's goodbye; TCP's follows all the same.
    if (tls_) co_await tls_->stream.async_shutdown(as_result);
    ErrorCode ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    std::array<char, 4096> rest;
    for (std::size_t thrown_away = 0; thrown_away < finish_bytes_max;) {
        const auto [error, bytes] = co_await socket_.async_read_some(asio::buffer(rest), as_result);
        if (error) break;
        thrown_away += bytes;
    }
    close();
}

void Connection::close() {
    ErrorCode ignored;
    socket_.close(ignored);
}

bool Connection::has_pending_input() const {
    char byte = 0;
    const auto got = ::recv(const_cast<tcp::socket&>(socket_).native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

bool Connection::is_tls() const {
    return tls_ != nullptr;
}

bool Connection::client_certificate() const {
    return tls_ && has_verified_peer(tls_->stream.native_handle());
}

std::string Connection::tls_problem(ErrorCode error) const {
    if (tls_)
        if (std::string why = verification_problem(tls_->stream.native_handle()); !why.empty()) return why;
    return error.message();
}

bool Connection::is_tls_error(ErrorCode error) {
    return error.category() == asio::error::get_ssl_category();
}

}  // namespace pgkeel::http
