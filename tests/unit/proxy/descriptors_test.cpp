#include "proxy/descriptors.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pgkeel::proxy {
namespace {

config::PoolerConfig read(const std::string& text) {
    auto reading =
        config::read_pooler_ini(text, "p.ini", [](const std::string& path) { return fail(Errc::io_error, path); });
    EXPECT_TRUE(reading.errors.empty());
    return std::move(reading.config);
}

TEST(descriptors, clients_and_pools_are_counted) {
    const auto need = descriptors_needed(read(R"(
[databases]
forced = host=a user=one pool_size=7 reserve_pool_size=2
free = host=a
few = host=a max_db_connections=5
[users]
u1 =
u2 =
[pgbouncer]
max_client_conn = 1000
default_pool_size = 10
reserve_pool_size = 1
)"));
    EXPECT_EQ(need.clients, 1000U);
    EXPECT_EQ(need.servers, 9U + 2 * 11 + 5);
    EXPECT_GE(need.own, 32U);
    EXPECT_EQ(need.total(), need.clients + need.servers + need.own);
}

/// In a child, because limits belong to the process. Returns the exit status.
template <class Check>
int in_child(Check check) {
    const pid_t child = fork();
    if (child == 0) _exit(check());
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(descriptors, the_soft_limit_is_raised_to_the_hard_one) {
    EXPECT_EQ(in_child([] {
                  rlimit limit{};
                  getrlimit(RLIMIT_NOFILE, &limit);
                  const rlim_t hard = limit.rlim_max;
                  limit.rlim_cur = 64;
                  setrlimit(RLIMIT_NOFILE, &limit);
                  const bool is_quiet = raise_descriptor_limit({.clients = 100, .servers = 10, .own = 5}).empty();
                  getrlimit(RLIMIT_NOFILE, &limit);
                  return is_quiet && limit.rlim_cur == hard ? 0 : 1;
              }),
              0);
}

TEST(descriptors, a_limit_that_is_too_low_is_told_with_its_numbers) {
    EXPECT_EQ(in_child([] {
                  const rlimit low{.rlim_cur = 64, .rlim_max = 64};
                  setrlimit(RLIMIT_NOFILE, &low);
                  if (geteuid() == 0 && setuid(65534) != 0) return 2;  // root may raise the hard limit
                  const std::string text = raise_descriptor_limit({.clients = 100, .servers = 10, .own = 5});
                  return text.contains("is 64, and 115 may be needed: max_client_conn 100, 10 or more") ? 0 : 1;
              }),
              0);
}

}  // namespace
}  // namespace pgkeel::proxy
