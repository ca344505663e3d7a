#pragma once
#include "config/pooler.hpp"
#include "engine/loop.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pgkeel::proxy {

/// Names of servers to addresses, for one thread; remembered for dns_max_ttl, and that there is none for
/// dns_nxdomain_ttl. The addresses of a name take turns.
class Resolver {
  public:
    explicit Resolver(engine::Loop& loop) : loop_(loop) {}

    using Done = std::move_only_function<void(Result<std::string>)>;
    /// The path of a unix socket when `host` is its directory, else an address. `done` may be called at once.
    void resolve(const std::string& host, std::uint16_t port, const config::PoolerSettings& settings, Done done);

    struct Name {
        std::vector<std::string> addresses;
        std::string problem;
        Instant known_until{};
        std::size_t next = 0;
        bool asking = false;
        std::vector<Done> waiting;
    };
    const std::map<std::string, Name>& names() const { return names_; }

  private:
    static Result<std::string> turn(Name& name);
    engine::Loop& loop_;
    std::map<std::string, Name> names_;
};

}  // namespace pgkeel::proxy
