#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgkeel::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string method = "GET";  ///< upper case
    std::string target = "/";    ///< path and query as sent
    Headers headers{};
    std::string body{};
    bool has_content_length = false;
    // A fact about the request, told by whoever makes one with Client:
    bool repeatable = false;  ///< doing it twice does no harm, as with GET and HEAD, which always are
    // Facts about the connection, filled by the server:
    std::string peer_address{};  ///< "127.0.0.1"
    bool tls = false;
    bool client_certificate = false;  ///< presented, and signed by our cafile

    /// Value of a header, case-insensitive; empty when absent.
    std::string header(std::string_view name) const;
    std::string path() const;  ///< target before '?'
    /// Decoded query parameters in order. A broken %-escape stays as it is.
    Headers query() const;
};

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    Headers headers{};
    std::string body{};
    bool bare = false;  ///< only the status line and a blank line

    /// Value of a header, case-insensitive; empty when absent.
    std::string header(std::string_view name) const;
};

const char* reason_phrase(int status);

/// "%2F" and '+' as in a query: "a%20b" is "a b". A broken %-escape stays as it is.
std::string decode_query(std::string_view text);

}  // namespace pgkeel::http
