#pragma once
#include "http/message.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace pgkeel::http {

/// Why a request is refused before any handler sees it.
struct Refusal {
    int status = 400;
    std::string reason;
};

/// Reads one request out of the bytes of a connection. Pure: no sockets, no time. Stricter than HTTP asks for:
/// strangers' bytes come here first, and every client we know sends a length and an absolute path.
class RequestParser {
  public:
    enum class Stage {
        head,      ///< the request line and the headers are not complete
        body,      ///< the body is not complete
        complete,  ///< take() gives the request
        refused,   ///< refusal() says why; what follows on this connection means nothing
    };

    RequestParser(std::size_t header_bytes_max, std::size_t body_bytes_max);
    ~RequestParser();
    RequestParser(RequestParser&&) noexcept;
    RequestParser& operator=(RequestParser&&) noexcept;

    /// The next bytes. What comes after the end of the request is ignored, and ends the connection.
    Stage feed(std::string_view bytes);
    Stage stage() const;
    /// The client sends the body only after "100 Continue" (RFC 9110 §10.1.1).
    bool wants_continue() const;
    std::size_t body_bytes() const;
    /// The client asked for the connection to stay ("Connection: keep-alive"), and sent nothing beyond its request.
    bool keeps_connection() const;
    const Refusal& refusal() const;
    Request take();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pgkeel::http
