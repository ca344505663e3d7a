#pragma once
#include "base/result.hpp"
#include "cli/commands.hpp"
#include "config/agent_config.hpp"

namespace pgkeel::cli {

/// The configuration that leads to the cluster, from the first of: what -c names, the cluster below --dir, the file in
/// $PGKEEL_CONFIG or $PATRONICTL_CONFIG_FILE, the PATRONI_ETCD3_* variables, /etc/pgkeel/pgkeel.yml, the cluster that
/// `pgkeel up` started last. Errors: not_found, with all that was looked at; as config::load_client_config.
Result<config::AgentConfig> find_config(const ClusterChoice& choice, const config::Environment& environment);

}  // namespace pgkeel::cli
