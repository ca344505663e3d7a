#include "proxy/topology_socket.hpp"

#include "base/socket_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pgkeel::proxy {

bool is_here(const SocketClaim& claim) {
    if (!claim.directory.starts_with('/') || claim.id.empty() || claim.port.empty()) return false;
    if (socket_directory_id(claim.directory) != claim.id) return false;
    struct stat facts{};
    const std::string path = fmt::format("{}/.s.PGSQL.{}", claim.directory, claim.port);
    return stat(path.c_str(), &facts) == 0 && S_ISSOCK(facts.st_mode) &&
           faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

}  // namespace pgkeel::proxy
