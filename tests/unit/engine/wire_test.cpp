#include "wires.hpp"

namespace pgkeel::test {
namespace {

OVER_BOTH_TRANSPORTS(OverBothTransports);

TEST_P(OverBothTransports, bytes_come_in_and_go_out) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    peer.say("hello");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "hello"; }));
    owner.calling([&] { wire->pass("now "); });
    EXPECT_EQ(peer.hear(), "now ");
    owner.calling([&] {
        wire->put("at ");
        wire->put("the ");
    });
    EXPECT_FALSE(peer.has_input()) << "what is put waits for the end of the turn";
    owner.calling([&] { wire->pass("end"); });
    EXPECT_EQ(peer.hear(), "at the end");
    wire->put("later");
    run_for(*loop, 1ms);
    EXPECT_EQ(peer.hear(), "later");
    EXPECT_FALSE(wire->backed_up());
}

TEST_P(OverBothTransports, unused_bytes_are_shown_again_with_those_that_follow) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    owner.on_received = [](std::string_view bytes) { return bytes.size() >= 6 ? std::size_t{6} : std::size_t{0}; };
    const auto wire = loop->adopt(socket, owner, {});
    peer.say("abc");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.shows == 1; }));
    EXPECT_EQ(owner.bytes, "");
    run_for(*loop, 5ms);
    EXPECT_EQ(owner.shows, 1) << "nothing has come, so nothing is shown";
    peer.say("defg");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "abcdef"; }));
    EXPECT_EQ(owner.last_shown, 7u);
    peer.say("h");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.shows == 3; }));
    EXPECT_EQ(owner.last_shown, 2u);
}

TEST_P(OverBothTransports, a_message_larger_than_the_buffer_is_gathered) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    const std::string message = [] {
        std::string bytes(3'000'000, '\0');
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 1000);
        return bytes;
    }();
    Listener owner;
    owner.on_received = [&](std::string_view bytes) { return bytes.size() < message.size() ? 0 : message.size(); };
    const auto wire = loop->adopt(socket, owner, {});
    std::thread talker([&, &other = peer] { other.say(message); });
    EXPECT_TRUE(run_until(*loop, [&] { return owner.bytes.size() == message.size(); }));
    talker.join();
    EXPECT_TRUE(owner.bytes == message);
}

TEST_P(OverBothTransports, nothing_is_shown_while_reading_is_stopped) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->stop_reading();
    peer.say("waits");
    run_for(*loop, 10ms);
    EXPECT_EQ(owner.shows, 0);
    owner.calling([&] { wire->start_reading(); });
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "waits"; }));
}

TEST_P(OverBothTransports, stopping_inside_received_keeps_the_rest_for_start_reading) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    pool::OwnedWire wire;
    owner.on_received = [&](std::string_view) {
        owner.calling([&] { wire->stop_reading(); });
        return std::size_t{1};
    };
    wire = loop->adopt(socket, owner, {});
    peer.say("abc");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "a"; }));
    run_for(*loop, 5ms);
    EXPECT_EQ(owner.shows, 1);
    for (const char* expected : {"ab", "abc"}) {
        owner.calling([&] { wire->start_reading(); });
        ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == expected; }));
        EXPECT_EQ(owner.shows, static_cast<int>(owner.bytes.size()));
    }
}

TEST_P(OverBothTransports, starting_inside_received_shows_the_rest_in_the_same_turn_and_not_deeper) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    pool::OwnedWire wire;
    int depth = 0, deepest = 0;
    owner.on_received = [&](std::string_view) {
        deepest = std::max(deepest, ++depth);
        wire->stop_reading();
        wire->start_reading();
        --depth;
        return std::size_t{1};
    };
    wire = loop->adopt(socket, owner, {});
    peer.say("0123456789");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "0123456789"; }));
    EXPECT_EQ(deepest, 1);
}

TEST_P(OverBothTransports, a_peer_that_ends_is_told_after_its_last_bytes) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    peer.say("last words");
    peer.end();
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_EQ(owner.bytes, "last words");
    EXPECT_EQ(owner.reason, "");
    wire->pass("and an answer");  // half closed: the peer still listens
    EXPECT_EQ(peer.hear(), "and an answer");
}

TEST_P(OverBothTransports, an_end_while_reading_is_stopped_waits_for_the_bytes_before_it) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->stop_reading();
    peer.say("before");
    peer.end();
    run_for(*loop, 10ms);
    EXPECT_FALSE(owner.is_closed);
    wire->start_reading();
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_EQ(owner.bytes, "before");
}

TEST_P(OverBothTransports, an_end_without_unread_bytes_is_told_while_reading_is_stopped) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    pool::OwnedWire wire;
    owner.on_received = [&](std::string_view bytes) {
        wire->stop_reading();
        return bytes.size();
    };
    wire = loop->adopt(socket, owner, {});
    peer.say("query");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.bytes == "query"; }));
    peer.end();
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
}

TEST_P(OverBothTransports, an_end_that_came_with_bytes_is_told_when_the_owner_stops_reading_after_them) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    peer.say("query");
    peer.end();
    Listener owner;
    pool::OwnedWire wire;
    owner.on_received = [&](std::string_view bytes) {
        wire->stop_reading();
        return bytes.size();
    };
    wire = loop->adopt(socket, owner, {});
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_EQ(owner.bytes, "query");
}

class wire : public OnEachEngine {};
ON_EACH_ENGINE(wire);

TEST_P(wire, a_reset_is_told_at_once_while_reading_is_stopped) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(false);
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->stop_reading();
    run_for(*loop, 2ms);
    peer.reset();
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_EQ(owner.reason, "Connection reset by peer");
}

TEST_P(OverBothTransports, sending_to_a_peer_that_has_gone_is_told_later_and_raises_no_signal) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    peer.say("goodbye");
    peer.close();
    owner.calling([&] {
        for (int i = 0; i < 10; ++i) {
            wire->pass("is anybody there?");
            std::this_thread::sleep_for(1ms);
        }
    });
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
}

TEST_P(OverBothTransports, a_slow_reader_backs_up_the_wire_and_drained_ends_it) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    const std::string chunk(50'000, 'x');
    std::size_t sent = 0;
    while (!wire->backed_up()) {
        owner.calling([&] { wire->pass(chunk); });
        sent += chunk.size();
        ASSERT_LT(sent, 100'000'000u);
    }
    run_for(*loop, 5ms);
    EXPECT_FALSE(owner.heard("drained"));
    std::size_t heard = 0;
    std::thread reader([&, &other = peer] {
        while (heard < sent) heard += other.hear().size();
    });
    EXPECT_TRUE(run_until(*loop, [&] { return owner.heard("drained"); }));
    EXPECT_FALSE(wire->backed_up());
    reader.join();
    EXPECT_EQ(heard, sent);
    EXPECT_EQ(std::ranges::count(owner.events, "drained"), 1);
}

TEST_P(OverBothTransports, what_is_sent_in_pieces_through_a_full_socket_stays_in_order) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {.buffer_bytes = 8192});
    std::string sent;
    for (int i = 0; sent.size() < 2'000'000; ++i) {
        const std::string piece = std::to_string(i) + ",";
        for (int copies = 0; copies < 500; ++copies) {
            i % 2 == 0 ? wire->put(piece) : wire->pass(piece);
            sent += piece;
        }
    }
    std::string heard;
    std::thread reader([&, &other = peer] {
        while (heard.size() < sent.size()) heard += other.hear();
    });
    EXPECT_TRUE(run_until(*loop, [&] { return owner.heard("drained"); }));
    reader.join();
    EXPECT_TRUE(heard == sent);
}

TEST_P(OverBothTransports, a_reader_that_stops_lets_the_kernel_hold_the_writer_back) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->stop_reading();
    ::fcntl(peer.socket(), F_SETFL, O_NONBLOCK);
    const std::string chunk(65536, 'x');
    std::size_t taken = 0;
    for (int quiet = 0; quiet < 20;) {
        const ssize_t sent = ::send(peer.socket(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
        sent > 0 ? quiet = 0 : ++quiet;
        if (sent > 0) taken += static_cast<std::size_t>(sent);
        ASSERT_LT(taken, 100'000'000u) << "nobody reads, and the writer is not held back";
        run_for(*loop, 1ms);
    }
    EXPECT_EQ(owner.shows, 0);
    wire->start_reading();
    EXPECT_TRUE(run_until(*loop, [&] { return owner.bytes.size() == taken; }));
}

TEST_P(OverBothTransports, closing_sends_what_was_put) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    Listener owner;
    auto wire = loop->adopt(socket, owner, {});
    wire->put("FATAL: no");
    owner.calling([&] { wire.reset(); });
    EXPECT_EQ(peer.hear(), "FATAL: no");
    EXPECT_EQ(peer.hear(), "");
    run_for(*loop, 1ms);
    EXPECT_FALSE(owner.is_closed) << "who has closed it is not told";
}

TEST_P(OverBothTransports, a_closed_wire_lingers_until_a_slow_peer_has_everything) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(over_unix_sockets());
    const std::string answer(20'000'000, 'y');
    {
        Listener owner;
        auto wire = loop->adopt(socket, owner, {});
        wire->pass(answer);
    }
    std::atomic<std::size_t> heard = 0;
    std::atomic<bool> ended = false;
    std::thread reader([&, &other = peer] {
        for (std::string bytes; !(bytes = other.hear()).empty();) heard += bytes.size();
        ended = true;
    });
    EXPECT_TRUE(run_until(*loop, [&] { return ended.load(); }));
    reader.join();
    EXPECT_EQ(heard, answer.size());
    EXPECT_EQ(loop->counters().linger_timeouts, 0u);
}

TEST_P(wire, a_closed_wire_whose_peer_does_not_read_is_dropped_after_five_seconds) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(true);
    {
        Listener owner;
        auto wire = loop->adopt(socket, owner, {});
        wire->pass(std::string(20'000'000, 'y'));
    }
    const Instant start = Boottime::now();
    ASSERT_TRUE(run_until(*loop, [&] { return loop->counters().linger_timeouts == 1; }));
    EXPECT_GE(Boottime::now() - start, 4900ms);
    while (!peer.hear().empty()) {
    }
}

TEST_P(wire, an_owner_may_close_any_wire_in_its_callbacks) {
    const auto loop = make_loop();
    auto [first_socket, first_peer] = connected_pair(false);
    auto [second_socket, second_peer] = connected_pair(true);
    Listener first, second;
    pool::OwnedWire first_wire = loop->adopt(first_socket, first, {});
    pool::OwnedWire second_wire = loop->adopt(second_socket, second, {});
    const auto close_both = [&](std::string_view bytes) {
        first_wire.reset();
        second_wire.reset();
        return bytes.size();
    };
    first.on_received = second.on_received = close_both;
    first_peer.say("x");
    second_peer.say("y");
    std::this_thread::sleep_for(5ms);  // both are there in one turn
    ASSERT_TRUE(run_until(*loop, [&] { return first.shows + second.shows > 0; }));
    run_for(*loop, 5ms);
    EXPECT_EQ(first.shows + second.shows, 1) << "a wire that is closed is told nothing";
    EXPECT_FALSE(first.is_closed || second.is_closed);
}

TEST_P(wire, one_busy_wire_leaves_turns_to_others) {
    const auto loop = make_loop();
    auto [loud_socket, loud_peer] = connected_pair(true);
    auto [quiet_socket, quiet_peer] = connected_pair(true);
    Listener loud, quiet;
    std::size_t loud_bytes = 0;
    loud.on_received = [&](std::string_view bytes) {
        loud_bytes += bytes.size();
        // A writer that is always ahead.
        const std::string more(bytes.size(), 'z');
        ::send(loud_peer.socket(), more.data(), more.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return bytes.size();
    };
    const auto loud_wire = loop->adopt(loud_socket, loud, {});
    const auto quiet_wire = loop->adopt(quiet_socket, quiet, {});
    loud_peer.say(std::string(100'000, 'z'));
    quiet_peer.say("me too");
    ASSERT_TRUE(run_until(*loop, [&] { return quiet.bytes == "me too"; }));
    EXPECT_LT(loud_bytes, 50'000'000u);
}

class connect : public OnEachEngine {};
ON_EACH_ENGINE(connect);

TEST_P(connect, connects_and_sends_what_was_put_before) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    Listener owner;
    const auto wire = loop->connect({.host = "127.0.0.1", .port = port_of(listening)}, owner, {});
    wire->put("early ");
    wire->pass("bird");
    EXPECT_TRUE(owner.events.empty());
    ASSERT_TRUE(run_until(*loop, [&] { return owner.heard("connected"); }));
    const Peer peer(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    run_for(*loop, 1ms);
    EXPECT_EQ(peer.hear(), "early bird");
    EXPECT_EQ(wire->facts().address, "127.0.0.1");
    EXPECT_EQ(wire->facts().port, port_of(listening));
    EXPECT_EQ(wire->facts().local_address, "127.0.0.1");
    EXPECT_NE(wire->facts().local_port, 0);
    EXPECT_EQ(wire->tls(), nullptr);
    ::close(listening);
}

TEST_P(connect, a_refusal_is_told_from_the_loop) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    const std::uint16_t port = port_of(listening);
    ::close(listening);
    Listener owner;
    const auto wire = loop->connect({.host = "127.0.0.1", .port = port}, owner, {});
    EXPECT_FALSE(owner.is_closed);
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_EQ(owner.reason, "Connection refused");
    EXPECT_FALSE(owner.heard("connected"));
}

TEST_P(connect, what_cannot_be_an_address_or_is_not_there_is_told_from_the_loop) {
    const auto loop = make_loop();
    Listener name, path;
    const auto by_name = loop->connect({.host = "localhost", .port = 1}, name, {});
    const auto by_path = loop->connect({.host = "/nonexistent/.s.PGSQL.5432"}, path, {});
    EXPECT_FALSE(name.is_closed || path.is_closed);
    ASSERT_TRUE(run_until(*loop, [&] { return name.is_closed && path.is_closed; }));
    EXPECT_EQ(name.reason, "'localhost' is not an IP address");
    EXPECT_EQ(path.reason, "No such file or directory");
}

TEST_P(connect, a_wire_that_is_closed_before_it_is_connected_is_told_nothing) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    Listener owner;
    loop->connect({.host = "127.0.0.1", .port = port_of(listening)}, owner, {}).reset();
    run_for(*loop, 5ms);
    EXPECT_TRUE(owner.events.empty());
    ::close(listening);
}

}  // namespace
}  // namespace pgkeel::test
