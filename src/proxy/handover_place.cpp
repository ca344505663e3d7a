#include "proxy/handover_place.hpp"

#include <fmt/format.h>

namespace pgkeel::proxy {

std::string handover_path(const config::PoolerSettings& settings) {
    if (!settings.unix_socket_dir.empty() && settings.listen_port != 0)
        return fmt::format("{}/.s.PGKEEL.{}", settings.unix_socket_dir, settings.listen_port);
    return settings.pidfile.empty() ? std::string() : settings.pidfile + ".handover";
}

}  // namespace pgkeel::proxy
