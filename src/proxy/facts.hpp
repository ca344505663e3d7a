#pragma once
#include "console/facts.hpp"
#include "console/table.hpp"
#include "proxy/world.hpp"

#include <vector>

// What SHOW and the metrics tell of a running proxy. On the first thread, with the others at rest.

namespace pgkeel::proxy {

std::vector<console::PoolFacts> pool_facts(World& world);
std::vector<console::SocketFacts> client_facts(World& world);
std::vector<console::SocketFacts> server_facts(World& world);
std::vector<console::DatabaseFacts> database_facts(World& world);
std::vector<console::UserFacts> user_facts(World& world);
console::ListsFacts lists_facts(World& world);
std::vector<console::DnsHostFacts> dns_facts(World& world);
/// Since the start, by database; the console's among them.
std::map<std::string, console::Counters> counters(World& world);
std::vector<console::StatsFacts> stats_facts(World& world);

/// What Prometheus reads.
std::string metrics(World& world);

/// The answer of a SHOW command.
console::Table show(World& world, const console::Command& command);

}  // namespace pgkeel::proxy
