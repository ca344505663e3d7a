#pragma once
#include "config/agent_config.hpp"

namespace pgkeel::cli {

/// Who a command may connect to PostgreSQL as: postgresql.authentication.superuser of a file,
/// PATRONI_SUPERUSER_USERNAME and _PASSWORD over it, and a password that was rotated since. Empty where neither says
/// anything, or the file cannot be read as one: a command does without. (config::load_client_config leaves PostgreSQL's
/// section alone, because a client's file need not be a node's.)
config::PgUser find_superuser(const std::string& path, const config::Environment& environment);

}  // namespace pgkeel::cli
