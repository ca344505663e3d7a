#include "cli/local_proxy.hpp"

#include "local/process_id.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::cli {

std::optional<LocalProxy> find_local_proxy(const ClusterChoice& choice) {
    const auto file = find_cluster_config(choice);
    if (!file) return std::nullopt;
    const std::filesystem::path path = std::filesystem::absolute(*file).lexically_normal();
    const local::Layout layout{path.parent_path()};
    if (layout.client_config() != path) return std::nullopt;
    auto plan = local::load_plan(layout);
    if (!plan || plan->proxy.empty()) return std::nullopt;
    return LocalProxy{.scope = plan->scope,
                      .ports = plan->proxy,
                      .runs = local::running(layout.pid_file(local::Layout::proxy_name)).has_value()};
}

std::string proxy_in_words(const std::vector<local::ProxyPort>& ports, bool runs) {
    if (!runs) return "proxy: not running; `pgkeel up -d` starts it";
    std::string words;
    for (const local::ProxyPort& each : ports)
        words += fmt::format("{} {} {}", words.empty() ? "proxy:" : ",", each.listener, each.port);
    return words + " on 127.0.0.1";
}

Result<int> port_of_listener(const std::vector<local::ProxyPort>& ports, const std::string& listener) {
    const auto found = std::ranges::find(ports, listener, &local::ProxyPort::listener);
    if (found != ports.end()) return found->port;
    std::string names;
    for (const local::ProxyPort& each : ports) names += (names.empty() ? "" : ", ") + each.listener;
    return fail(Errc::invalid_input, fmt::format("the proxy has no listener '{}'", listener),
                names.empty() ? "`pgkeel up -d` starts a proxy" : "its listeners: " + names);
}

}  // namespace pgkeel::cli
