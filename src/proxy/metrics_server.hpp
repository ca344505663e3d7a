#pragma once
#include "base/result.hpp"

#include <memory>
#include <string>

namespace pgkeel::proxy {

class World;

/// GET /metrics, on a thread of its own: whoever asks slowly holds up nobody.
class MetricsServer {
  public:
    explicit MetricsServer(World& world);
    ~MetricsServer();
    /// \param listen  "host:port"; empty: it is not wanted. Errors: as http::Server::start.
    Result<> start(const std::string& listen);

  private:
    struct Impl;
    World& world_;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pgkeel::proxy
