#include "proxy/handover_channel.hpp"
#include "proxy/handover_outbox.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;
using namespace handover;

struct Pair {
    HandoverChannel left, right;
    static Pair make() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
        return {HandoverChannel(Descriptor(ends[0])), HandoverChannel(Descriptor(ends[1]))};
    }
};

/// A pipe's end whose other one is `other`.
Descriptor pipe_end(Descriptor& other) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    other = Descriptor(ends[0]);
    return Descriptor(ends[1]);
}

HandoverFrame frame_with(Message message, std::vector<Descriptor> sockets = {}) {
    return {.message = std::move(message), .sockets = std::move(sockets)};
}

TEST(handover_channel, descriptors_stay_with_their_frames) {
    Pair pair = Pair::make();
    std::array<Descriptor, 3> readers;
    ASSERT_TRUE(pair.left.send(frame_with(Taken{.number = 1}), 1s));
    for (std::size_t i = 0; i < readers.size(); ++i) {
        std::vector<Descriptor> one;
        one.push_back(pipe_end(readers[i]));
        ASSERT_TRUE(
            pair.left.send(frame_with(Session{.number = i, .image = auth::SecretText("x")}, std::move(one)), 1s));
    }
    ASSERT_TRUE(*pair.right.receive(1s));
    for (std::size_t i = 0; i < readers.size(); ++i) {
        const auto frame = pair.right.receive(1s);
        ASSERT_TRUE(frame && *frame);
        ASSERT_EQ((*frame)->sockets.size(), 1U);
        const char byte = static_cast<char>('a' + i);
        ASSERT_EQ(::write((*frame)->sockets.front().number(), &byte, 1), 1);
        char read = 0;
        ASSERT_EQ(::read(readers[i].number(), &read, 1), 1);
        EXPECT_EQ(read, byte);
    }
}

TEST(handover_channel, a_long_session_goes_through_a_socket_that_is_full) {
    Pair pair = Pair::make();
    const std::string text(3'000'000, 'q');
    std::thread sender([&] {
        HandoverOutbox outbox(pair.left);
        outbox.send(frame_with(Session{.number = 1, .image = auth::SecretText(text)}));
        outbox.send(frame_with(Settled{}));
        EXPECT_TRUE(*pair.left.receive(10s));
    });
    const auto session = pair.right.receive(10s);
    ASSERT_TRUE(session && *session);
    EXPECT_EQ(std::get<Session>((*session)->message).image.reveal(), text);
    const auto settled = pair.right.receive(10s);
    ASSERT_TRUE(settled && *settled);
    EXPECT_TRUE(std::holds_alternative<Settled>((*settled)->message));
    EXPECT_TRUE(pair.right.send(frame_with(Farewell{}), 1s));
    sender.join();
}

TEST(handover_channel, silence_an_end_and_nonsense_are_three_things) {
    Pair pair = Pair::make();
    const auto silence = pair.left.receive(20ms);
    ASSERT_FALSE(silence);
    EXPECT_EQ(silence.error().code, Errc::timed_out);
    pair.right.shut();
    const auto end = pair.left.receive(1s);
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);

    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    HandoverChannel channel{Descriptor(ends[0])};
    Descriptor other(ends[1]);
    ASSERT_EQ(::write(other.number(), "GET / HTTP/1.1\r\n", 16), 16);
    const auto nonsense = channel.receive(1s);
    ASSERT_FALSE(nonsense);
    EXPECT_EQ(nonsense.error().code, Errc::invalid_input);
}

TEST(handover_channel, half_a_frame_is_no_frame) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    HandoverChannel channel{Descriptor(ends[0])};
    const auto bytes = encode(Taken{.number = 1}, 0);
    {
        Descriptor other(ends[1]);
        ASSERT_EQ(::write(other.number(), bytes.reveal().data(), bytes.size() - 1),
                  static_cast<ssize_t>(bytes.size() - 1));
    }
    const auto half = channel.receive(1s);
    ASSERT_FALSE(half);
    EXPECT_EQ(half.error().code, Errc::unavailable);
}

TEST(handover_channel, where_nobody_listens_nobody_is_found) {
    const auto none = HandoverChannel::connect("/nowhere/.s.PGKEEL.1");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::not_found);
}

}  // namespace
}  // namespace pgkeel::proxy
