#pragma once
#include "base/result.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pgkeel::proxy {

class World;

/// GET /metrics, on a thread of its own: whoever asks slowly holds up nobody.
class MetricsServer {
  public:
    explicit MetricsServer(World& world);
    ~MetricsServer();
    /// \param listen  "host:port"; empty: it is not wanted. Errors: as http::Server::start.
    Result<> start(const std::string& listen);
    /// Another process may have the address now.
    void stop();

  private:
    struct Impl;
    World& world_;
    std::unique_ptr<Impl> impl_;
    std::vector<std::unique_ptr<Impl>> stopped_;  ///< handlers of theirs may still be answering
};

}  // namespace pgkeel::proxy
