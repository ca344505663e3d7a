#include "proxy/descriptors.hpp"

#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

namespace pgkeel::proxy {
namespace {

std::uint64_t count(std::int64_t value) {
    return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

}  // namespace

DescriptorNeed descriptors_needed(const config::PoolerConfig& config) {
    const config::PoolerSettings& settings = config.settings;
    DescriptorNeed need;
    need.clients = count(settings.max_client_conn);
    for (const auto& [name, database] : config.databases) {
        const std::uint64_t pool = count(database.pool_size.value_or(settings.default_pool_size)) +
                                   count(database.reserve_pool_size.value_or(settings.reserve_pool_size));
        const std::uint64_t users = database.user.empty() ? std::max<std::size_t>(config.users.size(), 1) : 1;
        const std::uint64_t limit = count(database.max_db_connections.value_or(settings.max_db_connections));
        need.servers += limit == 0 ? pool * users : std::min(pool * users, limit);
    }
    const std::uint64_t threads =
        settings.threads > 0 ? count(settings.threads) : std::max(std::thread::hardware_concurrency(), 1U);
    // Standard streams, log, Unix socket and the like; a loop has its epoll, eventfd and a listening socket of its own.
    need.own = 32 + threads * (4 + config.listeners.size());
    return need;
}

std::string raise_descriptor_limit(const DescriptorNeed& need) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return fmt::format("the limit of open files cannot be read: {}", std::strerror(errno));
    if (limit.rlim_max < need.total()) {
        const rlimit wanted{.rlim_cur = need.total(), .rlim_max = need.total()};
        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return {};
    }
    if (limit.rlim_cur < limit.rlim_max) {
        const rlimit wanted{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
    }
    if (limit.rlim_cur >= need.total()) return {};
    return fmt::format(
        "the limit of open files is {}, and {} may be needed: max_client_conn {}, {} or more for the pools of servers, "
        "{} of our own; raise it (LimitNOFILE of systemd, ulimit -n), or clients are refused when it is reached",
        limit.rlim_cur, need.total(), need.clients, need.servers, need.own);
}

}  // namespace pgkeel::proxy
