#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pgkeel::http {

/// Finds the addresses of hosts. Remembers the last good answer of the name service and falls back on it when that
/// fails or is slow: a dead name server must not take the nodes apart.
class Resolver {
  public:
    using Endpoints = std::vector<asio::ip::tcp::endpoint>;
    /// Errors: unavailable — the host has no address; timed_out.
    Task<Result<Endpoints>> resolve(Clock& clock, std::string host, std::string port, Deadline deadline);

  private:
    std::map<std::pair<std::string, std::string>, Endpoints> last_good_;
};

}  // namespace pgkeel::http
