#include "etcd/endpoints.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::etcd {
namespace {

Result<std::shared_ptr<Endpoint>> make_endpoint(const std::string& text, bool configured) {
    auto url = http::parse_url(text);
    if (!url) return std::unexpected(url.error());
    const bool ipv6 = url->host.find(':') != std::string::npos;
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->name = fmt::format("{}://{}{}{}:{}", url->tls ? "https" : "http", ipv6 ? "[" : "", url->host,
                                 ipv6 ? "]" : "", url->port);
    endpoint->url = *std::move(url);
    endpoint->configured = configured;
    return endpoint;
}

}  // namespace

Result<Endpoints> Endpoints::create(const std::vector<std::string>& configured) {
    Endpoints endpoints;
    for (const std::string& text : configured) {
        auto endpoint = make_endpoint(text, true);
        if (!endpoint) return fail("while reading the addresses of etcd", endpoint.error());
        const auto same = [&](const auto& other) { return other->name == (*endpoint)->name; };
        if (!std::ranges::any_of(endpoints.all_, same)) endpoints.all_.push_back(*std::move(endpoint));
    }
    if (endpoints.all_.empty())
        return fail(Errc::invalid_input, "no address of etcd is configured",
                    "set etcd3.hosts to host:port of every member");
    return endpoints;
}

void Endpoints::leave(const std::shared_ptr<Endpoint>& failed) {
    failed->known_good = false;
    if (all_[current_] == failed) current_ = (current_ + 1) % all_.size();
}

void Endpoints::set_members(const std::vector<std::string>& urls) {
    const std::shared_ptr<Endpoint> in_use = current();
    std::vector<std::shared_ptr<Endpoint>> next;
    for (const auto& endpoint : all_)
        if (endpoint->configured) next.push_back(endpoint);
    for (const std::string& text : urls) {
        auto endpoint = make_endpoint(text, false);
        if (!endpoint) continue;
        const auto same = [&](const auto& other) { return other->name == (*endpoint)->name; };
        if (std::ranges::any_of(next, same)) continue;
        const auto known = std::ranges::find_if(all_, same);
        next.push_back(known != all_.end() ? *known : *std::move(endpoint));
    }
    all_ = std::move(next);
    const auto place = std::ranges::find(all_, in_use);
    current_ = place == all_.end() ? 0 : static_cast<std::size_t>(place - all_.begin());
}

}  // namespace pgkeel::etcd
