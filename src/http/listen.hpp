#pragma once
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <vector>

namespace pgkeel::http {

/// "host:port" in pieces; the host is empty for every address and comes without brackets.
struct ListenAddress {
    std::string host;
    std::string port;
};
Result<ListenAddress> parse_listen(const std::string& text);

/// Listening sockets for "host:port", all on one port. A host name may have several addresses; each gets a socket. No
/// child process inherits them. A host name is looked up here and now, so this may block. Errors: already_exists — the
/// port is in use; invalid_input — the address; io_error.
Result<std::vector<boost::asio::ip::tcp::acceptor>> listen_on(const boost::asio::any_io_executor& executor,
                                                              const std::string& listen);

}  // namespace pgkeel::http
