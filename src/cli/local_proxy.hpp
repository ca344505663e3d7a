#pragma once
#include "cli/commands.hpp"
#include "local/plan.hpp"

#include <optional>
#include <string>
#include <vector>

// The proxy of a cluster on this machine, for commands that are about the cluster's members.

namespace pgkeel::cli {

struct LocalProxy {
    std::string scope;
    std::vector<local::ProxyPort> ports;
    bool runs = false;
};

/// Nothing: the command is not about a local cluster, or about one without a proxy.
std::optional<LocalProxy> find_local_proxy(const ClusterChoice& choice);

/// "proxy: primary 20001, standby 20002, any 20003, pooled 20004 on 127.0.0.1", or that it does not run.
std::string proxy_in_words(const std::vector<local::ProxyPort>& ports, bool runs);

/// The port of a listener. Errors: invalid_input, with the names that there are.
Result<int> port_of_listener(const std::vector<local::ProxyPort>& ports, const std::string& listener);

}  // namespace pgkeel::cli
