#include "engine/ring.hpp"

#include "wires.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>

namespace pgkeel::test {
namespace {

using engine::Ring;

class ring : public testing::Test {
  protected:
    void SetUp() override {
        auto made = Ring::create();
        if (!made) GTEST_SKIP() << made.error().line();
        ring_ = std::move(*made);
    }
    std::unique_ptr<Ring> ring_;
};

TEST_F(ring, tells_for_each_send_what_its_system_call_would_have_returned) {
    const SocketPair first = connected_pair(false), second = connected_pair(true);
    SocketPair reset = connected_pair(false);
    reset.peer.reset();
    std::this_thread::sleep_for(2ms);
    for (const int socket : {first.ours, reset.ours, -1, second.ours}) ring_->send(socket, "an answer");
    EXPECT_EQ(ring_->count(), 4u);
    const auto results = ring_->run();
    EXPECT_EQ(std::vector<int>(results.begin(), results.end()), (std::vector<int>{9, -ECONNRESET, -EBADF, 9}));
    EXPECT_EQ(first.peer.hear(), "an answer");
    EXPECT_EQ(second.peer.hear(), "an answer");
    EXPECT_EQ(ring_->count(), 0u);
    EXPECT_TRUE(ring_->run().empty());
    for (const int socket : {first.ours, second.ours, reset.ours}) ::close(socket);
}

TEST_F(ring, takes_what_fits_and_waits_for_no_peer) {
    const SocketPair pair = connected_pair(true);
    const std::string much(10'000'000, 'x');
    ring_->send(pair.ours, much);
    const int taken = ring_->run()[0];
    EXPECT_GT(taken, 0);
    EXPECT_LT(taken, static_cast<int>(much.size()));
    ring_->send(pair.ours, much);
    EXPECT_EQ(ring_->run()[0], -EAGAIN);
    ::close(pair.ours);
}

TEST_F(ring, raises_no_signal_for_a_peer_that_has_gone) {
    SocketPair pair = connected_pair(true);
    pair.peer.close();
    ring_->send(pair.ours, "anybody?");
    EXPECT_EQ(ring_->run()[0], -EPIPE);
    ::close(pair.ours);
}

TEST_F(ring, does_as_many_sends_as_it_has_places_over_and_over) {
    const SocketPair pair = connected_pair(false);
    std::string sent;
    for (int round = 0; round < 10; ++round) {
        while (!ring_->is_full()) {
            ring_->send(pair.ours, "0123456789");
            sent += "0123456789";
        }
        const auto results = ring_->run();
        EXPECT_EQ(results.size(), Ring::capacity);
        for (const int result : results) EXPECT_EQ(result, 10);
    }
    std::string heard;
    while (heard.size() < sent.size()) heard += pair.peer.hear();
    EXPECT_EQ(heard, sent);
    ::close(pair.ours);
}

TEST_F(ring, is_made_on_one_thread_and_used_on_another) {
    const SocketPair pair = connected_pair(false);
    std::thread([&] {
        ring_->send(pair.ours, "from elsewhere");
        EXPECT_EQ(ring_->run()[0], 14);
    }).join();
    EXPECT_EQ(pair.peer.hear(), "from elsewhere");
    ::close(pair.ours);
}

/// As a container's seccomp profile does it, for this process and for ever.
void forbid(std::uint32_t system_call, std::uint32_t error) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = std::size(filter), .filter = filter};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(9);
}

[[noreturn]] void make_a_loop_where_it_is_forbidden(int error) {
    forbid(__NR_io_uring_setup, static_cast<std::uint32_t>(error));
    const auto loop = Loop::create(Loop::Kind::io_uring);
    std::cerr << (loop ? "it works" : loop.error().line());
    ::_exit(!loop && loop.error().code == Errc::unavailable && Loop::create(Loop::Kind::epoll) ? 0 : 1);
}

[[noreturn]] void answer_while_it_gets_forbidden() {
    engine_under_test = Loop::Kind::io_uring;
    const auto loop = make_loop();
    std::vector<SocketPair> pairs(3);
    std::vector<Listener> owners(pairs.size());
    std::vector<pool::OwnedWire> wires(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        pairs[i] = connected_pair(i % 2 == 0);
        owners[i].on_received = [&wires, i](std::string_view bytes) {
            wires[i]->pass(bytes);
            return bytes.size();
        };
        wires[i] = loop->adopt(pairs[i].ours, owners[i], {});
    }
    run_for(*loop, 1ms);
    forbid(__NR_io_uring_enter, EPERM);
    bool all_answered = true;
    for (int round = 0; round < 2; ++round) {
        for (const SocketPair& pair : pairs) pair.peer.say("hello");
        std::this_thread::sleep_for(2ms);
        run_for(*loop, 5ms);
        for (const SocketPair& pair : pairs) all_answered = all_answered && pair.peer.hear() == "hello";
    }
    std::cerr << "failures: " << loop->counters().batch_failures;
    ::_exit(all_answered && loop->counters().batch_failures == 1 ? 0 : 1);
}

TEST(ring_death, a_kernel_that_forbids_it_is_told_with_what_to_do_next) {
    EXPECT_EXIT(make_a_loop_where_it_is_forbidden(EPERM), testing::ExitedWithCode(0), "kernel.io_uring_disabled");
    EXPECT_EXIT(make_a_loop_where_it_is_forbidden(ENOSYS), testing::ExitedWithCode(0), "io_engine = epoll");
    EXPECT_EXIT(make_a_loop_where_it_is_forbidden(ENOMEM), testing::ExitedWithCode(0), "ulimit -l");
}

TEST(ring_death, a_kernel_that_forbids_it_later_leaves_each_wire_to_itself) {
    if (!has_engine(Loop::Kind::io_uring)) GTEST_SKIP() << "there is no io_uring here";
    EXPECT_EXIT(answer_while_it_gets_forbidden(), testing::ExitedWithCode(0), "failures: 1");
}

}  // namespace
}  // namespace pgkeel::test
