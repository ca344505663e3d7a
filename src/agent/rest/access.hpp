#pragma once
#include "config/agent_config.hpp"
#include "http/message.hpp"
#include "http/resolve.hpp"

#include <boost/asio/ip/address.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Who may change something (Patroni's documentation, "restapi" settings; here with a safer default).

namespace pgkeel::agent::rest {

/// 10.0.0.0/8, 2001:db8::/32, or one address.
class Network {
  public:
    /// Nothing when it is neither an address nor a network; host bits may be set.
    static std::optional<Network> parse(std::string_view text);
    bool contains(const asio::ip::address& address) const;

  private:
    asio::ip::address base_;
    unsigned bits_ = 0;
};

/// An IPv4 peer of an IPv6 socket is an IPv4 peer.
asio::ip::address unmapped(const asio::ip::address& address);

/// Takes the same time whatever differs, its length included.
bool same_secret(std::string_view a, std::string_view b);

/// The access rules of requests that change something.
class Access {
  public:
    explicit Access(const config::RestApi& settings) { use(settings); }
    void use(const config::RestApi& settings);

    /// The answer that refuses the request; nothing when it may be done. The order is: where from, client certificate,
    /// password.
    /// \param member_hosts  of the registered members' api_url
    /// \param members_may   false: being a member does not count (POST /failsafe)
    Task<std::optional<http::Response>> refusal(Clock& clock, http::Request request,
                                                std::vector<std::string> member_hosts, bool members_may = true);
    /// Nothing is configured that keeps strangers out, so only this host and the members may change something.
    bool only_neighbours() const;

  private:
    Task<bool> comes_from(Clock& clock, asio::ip::address peer, std::vector<std::string> hosts);

    config::RestApi settings_;
    std::vector<Network> networks_;
    std::vector<std::string> names_;  ///< of the allowlist, to be resolved
    struct Known {
        std::vector<asio::ip::address> addresses;
        Instant asked_at{};
    };
    std::map<std::string, Known> known_;
    http::Resolver resolver_;
};

/// The host of each member's api_url.
std::vector<std::string> api_hosts(const std::vector<Member>& members);

}  // namespace pgkeel::agent::rest
