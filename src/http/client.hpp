#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"
#include "http/message.hpp"

#include <functional>
#include <memory>

namespace pgkeel::http {

struct ClientTls {
    bool verify = true;     ///< false: any certificate (ctl.insecure)
    std::string ca_file{};  ///< empty: the system's
    std::string certificate_file{};
    std::string key_file{};
    std::string key_password{};
    bool operator==(const ClientTls&) const = default;
};

/// "https://host:8008/patroni" in pieces. IPv6 hosts come without brackets.
struct Url {
    bool tls = false;
    std::string host{};
    std::string port{};
    std::string target = "/";
};
Result<Url> parse_url(std::string_view text);

/// Makes requests; keeps two idle connections per (host, port, TLS) for the next ones. One event loop at a time; what
/// is idle ends with it. The target asked for is the request's, or the URL's when the request has only "/".
class Client {
  public:
    explicit Client(ClientTls tls);
    ~Client();

    /// One request and its whole answer (at most 64 MiB), whatever its status. Errors: unavailable — could not connect,
    /// or the connection broke before the request was sent; maybe_done — it broke, or the deadline came, after sending;
    /// timed_out — while connecting; denied — TLS refused; invalid_input — the TLS files, or a request that cannot be
    /// written. A request that is GET, HEAD or `repeatable` changes nothing, so it ends in unavailable and timed_out
    /// instead of maybe_done.
    Task<Result<Response>> request(Url url, Request request, Deadline deadline);
    /// Sends the request and hands over the body as it comes, until the peer ends it, `on_data` says false, or nothing
    /// came for `idle_max`. Returns why it ended: unavailable — the peer ended it, the connection broke, or another
    /// status; cancelled — `on_data` said false; timed_out — no headers before their deadline, or nothing for
    /// `idle_max`; denied — TLS, or status 401 or 403; not_found — status 404. After a status other than 2xx `on_data`
    /// is not called; the text has the body's beginning.
    Task<Error> stream(Url url, Request request, Deadline headers_deadline, Duration idle_max,
                       std::function<bool(std::string_view)> on_data);
    /// Drops idle connections and the TLS context, so that new files are read.
    void reload(ClientTls tls);

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;  ///< shared with the requests under way
};

/// The value of an Authorization header.
std::string basic_authorization(std::string_view user, std::string_view password);

}  // namespace pgkeel::http
