#pragma once
#include "http/connection.hpp"

#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace pgkeel::http {

/// The idle connections of one client, for its next requests: at most two of one place. They end with the event loop
/// that serves them, also when the client lives on.
class KeptConnections {
  public:
    using Key = std::tuple<std::string, std::string, bool>;  ///< host, port, TLS

    /// The newest one that is good for another request; null: there is none.
    std::shared_ptr<Connection> take(const Key& key, Instant now);
    /// \param loop  that serves it
    void keep(asio::execution_context& loop, const Key& key, std::shared_ptr<Connection> connection, Instant now);
    void clear() { shelf_->clear(); }

  private:
    friend class KeptConnectionsService;
    struct Idle {
        std::shared_ptr<Connection> connection;
        Instant since;
    };
    using Shelf = std::multimap<Key, Idle>;  ///< the newest of a key last
    std::shared_ptr<Shelf> shelf_ = std::make_shared<Shelf>();
};

}  // namespace pgkeel::http
