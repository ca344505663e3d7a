#include "proxy/io_engine.hpp"

#include <gtest/gtest.h>

#include <iostream>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iterator>

namespace pgkeel::proxy {
namespace {

using config::IoEngine;

TEST(io_engine, makes_a_loop_for_each_thread) {
    for (const IoEngine wanted : {IoEngine::automatic, IoEngine::epoll}) {
        const auto loops = make_loops(wanted, 3);
        ASSERT_TRUE(loops);
        EXPECT_EQ(loops->size(), 3U);
    }
}

/// As a container's seccomp profile does it.
[[noreturn]] void where_io_uring_is_forbidden() {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = std::size(filter), .filter = filter};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(9);
    const auto by_name = make_loops(IoEngine::io_uring, 1);
    std::cerr << (by_name ? "it works" : by_name.error().line());
    ::_exit(!by_name && make_loops(IoEngine::automatic, 2) && make_loops(IoEngine::epoll, 2) ? 0 : 1);
}

TEST(io_engine_death, automatic_does_without_io_uring_and_its_name_does_not) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // the log has a thread of its own
    EXPECT_EXIT(where_io_uring_is_forbidden(), testing::ExitedWithCode(0),
                "io_engine = io_uring: io_uring cannot be used: Operation not permitted.*kernel.io_uring_disabled");
}

}  // namespace
}  // namespace pgkeel::proxy
