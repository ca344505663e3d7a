#pragma once
#include "base/result.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace pgkeel::local {

/// True: a server could listen on 127.0.0.1:port now.
bool port_is_free(int port);

/// `count` different free ports of 127.0.0.1, none of them in `taken`. They are below the range that the kernel gives
/// to outgoing connections, so that they are still free when the cluster is started again. Errors: unavailable.
Result<std::vector<int>> choose_ports(std::size_t count, const std::vector<int>& taken = {});

/// Who listens on a TCP port of this machine: nothing when that cannot be seen (another user's process).
std::optional<pid_t> listener_of(int port);

}  // namespace pgkeel::local
