#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"
#include "http/tls.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <span>
#include <string>

namespace pgkeel::http {

/// One TCP connection, plain or with TLS. Every wait ends at the latest when the connection is closed, by close() or by
/// the deadline; then `expired()` tells which.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using ErrorCode = boost::system::error_code;
    struct Read {
        ErrorCode error;
        std::size_t bytes = 0;
    };

    explicit Connection(asio::ip::tcp::socket socket);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Closes the connection at `when`; replaces the deadline before.
    void expire_at(Clock& clock, Instant when);
    void never_expire() { alarm_.reset(); }
    bool expired() const { return expired_; }

    /// Comes back when the peer has sent something, or closed.
    Task<ErrorCode> wait_readable();
    Task<ErrorCode> connect(asio::ip::tcp::endpoint peer);
    Task<ErrorCode> accept_tls(TlsContext context);
    /// Errors of OpenSSL, or invalid_argument when `host` cannot be verified at all.
    Task<ErrorCode> connect_tls(TlsContext context, std::string host);
    /// The end of the peer's bytes is asio::error::eof, also when TLS was cut short.
    Task<Read> read_some(std::span<char> buffer);
    Task<ErrorCode> write(std::string bytes);
    /// Says goodbye in TLS and in TCP; what the peer still sends is read and thrown away until it closes, so that the
    /// end of our answer is not lost to a reset. Set a short deadline before.
    Task<> finish();
    void close();

    /// Bytes, or the end, wait to be read: not the state of an idle connection that is good for another request.
    bool has_pending_input() const;
    bool is_tls() const;
    bool client_certificate() const;
    /// Why TLS failed, in words; never empty after an error of a TLS handshake.
    std::string tls_problem(ErrorCode error) const;
    /// An error that TLS itself made, not the network: the other side refuses us, or we it.
    static bool is_tls_error(ErrorCode error);

  private:
    struct Tls;
    asio::ip::tcp::socket socket_;
    std::unique_ptr<Tls> tls_;
    Clock::Alarm alarm_;
    bool expired_ = false;
};

}  // namespace pgkeel::http
