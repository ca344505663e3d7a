#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"
#include "http/message.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace pgkeel::http {

enum class VerifyClient { none, optional, required };

struct ServerTls {
    std::string certificate_file{};  ///< empty: plain HTTP
    std::string key_file{};          ///< empty: in certificate_file
    std::string key_password{};
    std::string ca_file{};
    std::string ciphers{};
    VerifyClient verify_client = VerifyClient::none;
    bool operator==(const ServerTls&) const = default;
};

/// Strangers must not be able to silence health checks with idle or slow connections.
struct Limits {
    std::chrono::milliseconds header_deadline{
        5000};                                       ///< from accept (TLS handshake included) to the end of the headers
    std::chrono::milliseconds body_deadline{5000};   ///< more for the body
    std::chrono::milliseconds idle_deadline{15000};  ///< to the next request of a client that keeps its connection
    std::size_t header_bytes_max = 16 * 1024;
    std::size_t body_bytes_max = 1024 * 1024;
    std::size_t all_bodies_bytes_max = 8 * 1024 * 1024;  ///< of requests still being read; the oldest makes room
    std::size_t connections_max = 512;                   ///< the one that has waited longest for its headers makes room
    std::size_t connections_per_address_max = 64;        ///< likewise among one address's
};

struct ServerOptions {
    std::string listen{};  ///< "host:port"; "*" or empty host: every address; IPv6 in brackets; port 0: any free one
    ServerTls tls{};
    std::string server_header{};  ///< empty: none
    std::vector<std::pair<std::string, std::string>> extra_headers{};
    Limits limits{};
};

/// An HTTP server in Patroni's manner: HTTP/1.0 answers, the connection is closed after each unless the client asks for
/// it to stay. Malformed requests get an HTML error page with 400, 411, 413, 431 or 501 and never reach the handler.
class Server {
  public:
    using Handler = std::function<Task<Response>(Request)>;

    /// Binds and starts to accept. Errors: already_exists — the port is in use; invalid_input — address or certificate.
    static Result<std::unique_ptr<Server>> start(asio::any_io_executor executor, Clock& clock, ServerOptions options,
                                                 Handler handler);
    virtual ~Server() = default;
    virtual int port() const = 0;
    /// Reads the certificate files again for new connections; open ones go on. On an error the old ones stay in use.
    virtual Result<> reload_tls(ServerTls tls) = 0;
    /// Refuses new connections, ends the open ones.
    virtual void stop() = 0;
    /// stop(), and waits until the last handler has returned: then what handlers use may go.
    virtual Task<> stopped() = 0;
};

}  // namespace pgkeel::http
