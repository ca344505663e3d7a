#include "proxy/resolver.hpp"

#include "auth/ip_address.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace pgkeel::proxy {

Result<std::string> Resolver::turn(Name& name) {
    if (name.addresses.empty()) return fail(Errc::unavailable, name.problem);
    return name.addresses[name.next++ % name.addresses.size()];
}

void Resolver::resolve(const std::string& host, std::uint16_t port, const config::PoolerSettings& settings, Done done) {
    if (host.starts_with('/') || host.starts_with('@')) return done(fmt::format("{}/.s.PGSQL.{}", host, port));
    if (auth::IpAddress::parse(host)) return done(host);
    Name& name = names_[host];
    if (!name.asking && loop_.now() < name.known_until) return done(turn(name));
    name.waiting.push_back(std::move(done));
    if (std::exchange(name.asking, true)) return;
    const auto found = std::make_shared<Result<std::vector<std::string>>>();
    loop_.offload([found, host] { *found = engine::resolve_host(host); },
                  [this, found, host, good = settings.dns_max_ttl, bad = settings.dns_nxdomain_ttl] {
                      Name& known = names_[host];
                      known.asking = false;
                      known.addresses = found->value_or(std::vector<std::string>());
                      known.problem = *found ? "" : found->error().line();
                      known.known_until = loop_.now() + (*found ? good : bad);
                      for (Done& waiting : std::exchange(known.waiting, {})) waiting(turn(known));
                  });
}

}  // namespace pgkeel::proxy
