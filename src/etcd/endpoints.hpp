#pragma once
#include "async/event.hpp"
#include "base/clock.hpp"
#include "http/client.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pgkeel::etcd {

/// An address at which a member of etcd serves clients.
struct Endpoint {
    std::string name;  ///< "http://10.0.0.1:2379", for messages
    http::Url url;
    bool configured = false;
    std::string api_prefix;   ///< "/v3"
    bool known_good = false;  ///< it has shown that it belongs to our etcd, and has not failed since
    Instant greeted{};        ///< when it last did
    std::string complaint;    ///< why it could not be used; empty once it serves again
    bool logging_in = false;  ///< somebody waits for its answer to a login
    Event login_ended;        ///< here, because whoever waits keeps the endpoint
};

/// The addresses in the order in which they are tried: the configured ones first, as the nearest member is usually
/// named first, then those that etcd itself tells. Stays with one that works.
class Endpoints {
  public:
    /// Errors: invalid_input — none is given, or one is not a URL.
    static Result<Endpoints> create(const std::vector<std::string>& configured);

    std::shared_ptr<Endpoint> current() const { return all_[current_]; }
    std::size_t size() const { return all_.size(); }
    /// Moves on to the next one, unless somebody else has done so since `failed` was the current one.
    void leave(const std::shared_ptr<Endpoint>& failed);
    /// Replaces what etcd told before. Addresses that are no URL are left out.
    void set_members(const std::vector<std::string>& urls);

  private:
    std::vector<std::shared_ptr<Endpoint>> all_;  ///< never empty
    std::size_t current_ = 0;
};

}  // namespace pgkeel::etcd
