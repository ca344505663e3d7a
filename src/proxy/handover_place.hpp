#pragma once
#include "config/pooler.hpp"

#include <string>

namespace pgkeel::proxy {

/// The unix socket where a process with these settings is asked to hand over: beside that of its clients, else beside
/// its pidfile, and for nobody but its own user. Empty: it has none.
std::string handover_path(const config::PoolerSettings& settings);

}  // namespace pgkeel::proxy
