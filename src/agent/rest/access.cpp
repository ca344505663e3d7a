#include "agent/rest/access.hpp"

#include "agent/rest/answers.hpp"
#include "http/client.hpp"
#include "log/log.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace pgkeel::agent::rest {

using namespace std::chrono_literals;

namespace {

/// How long a name's addresses are good; a stranger cannot make us ask the name service with every request.
constexpr Duration name_age_max = 10s;
constexpr Duration name_patience = 2s;
constexpr std::size_t names_max = 256;

std::optional<asio::ip::address> address_of(std::string_view text) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(std::string(text), error);
    return error ? std::nullopt : std::optional(unmapped(address));
}

std::array<unsigned char, 16> bytes_of(const asio::ip::address& address) {
    std::array<unsigned char, 16> bytes{};
    if (address.is_v4())
        std::ranges::copy(address.to_v4().to_bytes(), bytes.begin());
    else
        std::ranges::copy(address.to_v6().to_bytes(), bytes.begin());
    return bytes;
}

std::array<unsigned char, SHA256_DIGEST_LENGTH> digest(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> out{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data());
    return out;
}

http::Response ask_for_password(const char* reason) {
    http::Response answer = text_answer(401, reason);
    answer.headers.emplace_back("WWW-Authenticate", R"(Basic realm="Patroni")");
    return answer;
}

}  // namespace

asio::ip::address unmapped(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    return address;
}

std::optional<Network> Network::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto base = address_of(text.substr(0, slash));
    if (!base) return std::nullopt;
    Network network;
    network.base_ = *base;
    const unsigned bits_max = base->is_v4() ? 32 : 128;
    network.bits_ = bits_max;
    if (slash == std::string_view::npos) return network;
    const std::string_view bits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits_);
    if (error != std::errc{} || end != bits.data() + bits.size() || network.bits_ > bits_max) return std::nullopt;
    return network;
}

bool Network::contains(const asio::ip::address& address) const {
    if (address.is_v4() != base_.is_v4()) return false;
    const auto ours = bytes_of(base_);
    const auto theirs = bytes_of(address);
    const std::size_t whole = bits_ / 8;
    if (!std::equal(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(whole), theirs.begin())) return false;
    const unsigned rest = bits_ % 8;
    return rest == 0 || (ours.at(whole) >> (8 - rest)) == (theirs.at(whole) >> (8 - rest));
}

bool same_secret(std::string_view a, std::string_view b) {
    const auto left = digest(a);
    const auto right = digest(b);
    return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

void Access::use(const config::RestApi& settings) {
    settings_ = settings;
    networks_.clear();
    names_.clear();
    for (const std::string& entry : settings.allowlist) {
        if (auto network = Network::parse(entry))
            networks_.push_back(*network);
        else if (entry.find('/') == std::string::npos && !entry.empty())
            names_.push_back(entry);
        else
            log::error("restapi.allowlist: '{}' is no address, network or host name; it lets nobody in", entry);
    }
    if (only_neighbours())
        log::warning(
            "restapi: no authentication, allowlist or verify_client is set: requests that change something are "
            "answered only for "
            "this host and for the members of the cluster");
}

bool Access::only_neighbours() const {
    const bool wants_certificate = !settings_.tls.certificate_file.empty() &&
                                   (settings_.verify_client == "optional" || settings_.verify_client == "required");
    return settings_.authentication.empty() && settings_.allowlist.empty() && !settings_.allowlist_include_members &&
           !wants_certificate;
}

Task<bool> Access::comes_from(Clock& clock, asio::ip::address peer, std::vector<std::string> hosts) {
    std::vector<std::string> names;
    for (std::string& host : hosts) {
        const auto address = address_of(host);
        if (address && *address == peer) co_return true;
        if (!address && !host.empty()) names.push_back(std::move(host));
    }
    const Deadline deadline = clock.now() + name_patience;
    for (const std::string& name : names) {
        const auto known = known_.find(name);
        if (known == known_.end() || clock.now() - known->second.asked_at > name_age_max) {
            Known answer;
            auto found = co_await resolver_.resolve(clock, name, "0", deadline);
            if (found)
                for (const auto& endpoint : *found) answer.addresses.push_back(unmapped(endpoint.address()));
            answer.asked_at = clock.now();
            if (known_.size() >= names_max) known_.clear();
            known_[name] = std::move(answer);
        }
        const auto now_known = known_.find(name);
        if (now_known != known_.end() && std::ranges::count(now_known->second.addresses, peer) != 0) co_return true;
    }
    co_return false;
}

Task<std::optional<http::Response>> Access::refusal(Clock& clock, http::Request request,
                                                    std::vector<std::string> member_hosts, bool members_may) {
    const auto peer = address_of(request.peer_address);
    const bool neighbours = only_neighbours();
    const bool members = members_may && settings_.allowlist_include_members;
    if (neighbours || members || !settings_.allowlist.empty()) {
        bool allowed =
            peer && std::ranges::any_of(networks_, [&](const Network& network) { return network.contains(*peer); });
        if (neighbours && peer && peer->is_loopback()) allowed = true;
        std::vector<std::string> hosts = names_;
        if (neighbours || members) hosts.insert(hosts.end(), member_hosts.begin(), member_hosts.end());
        if (!allowed && peer) allowed = co_await comes_from(clock, *peer, std::move(hosts));
        if (!allowed && neighbours)
            co_return text_answer(
                403,
                "Access is denied: without restapi.authentication, allowlist or verify_client only this host and the "
                "members of the cluster may change something");
        if (!allowed) co_return text_answer(403, "Access is denied");
    }
    const bool wants_certificate = settings_.verify_client == "optional" || settings_.verify_client == "required";
    if (request.tls && wants_certificate && !request.client_certificate)
        co_return text_answer(403, "client certificate required");
    if (!settings_.authentication.empty()) {
        const std::string given = request.header("Authorization");
        if (given.empty()) co_return ask_for_password("no auth header received");
        const auto& [user, password] = settings_.authentication;
        if (!same_secret(given, http::basic_authorization(user, password)))
            co_return ask_for_password("not authenticated");
    }
    co_return std::nullopt;
}

std::vector<std::string> api_hosts(const std::vector<Member>& members) {
    std::vector<std::string> hosts;
    for (const Member& member : members)
        if (auto url = http::parse_url(member.api_url)) hosts.push_back(std::move(url->host));
    return hosts;
}

}  // namespace pgkeel::agent::rest
