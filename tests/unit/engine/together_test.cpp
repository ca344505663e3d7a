#include "engine/ring.hpp"
#include "wires.hpp"

#include <deque>

// What is particular to a loop that sends for several wires with one system call, at the end of its turn; and what many
// wires that act in one turn may do to each other.

namespace pgkeel::test {
namespace {

/// Many wires of one loop, with what their owners have heard.
class Crowd {
  public:
    explicit Crowd(std::size_t count, bool unix_sockets = false) {
        for (std::size_t i = 0; i < count; ++i) {
            pairs.push_back(connected_pair(unix_sockets));
            owners.emplace_back();
            wires.push_back(loop->adopt(pairs[i].ours, owners[i], {}));
        }
        run_for(*loop, 1ms);
    }
    void everybody_says(std::string_view bytes) {
        for (const SocketPair& pair : pairs) pair.peer.say(bytes);
        std::this_thread::sleep_for(2ms);  // all of it comes in one turn
    }
    Peer& peer(std::size_t i) { return pairs[i].peer; }

    std::unique_ptr<Loop> loop = make_loop();
    std::vector<SocketPair> pairs;
    std::deque<Listener> owners;
    std::vector<pool::OwnedWire> wires;
};

class together : public OnEachEngine {};
ON_EACH_ENGINE(together);

TEST_P(together, many_wires_are_answered_with_few_system_calls) {
    // More than one system call takes, and not a multiple of it.
    Crowd crowd(3 * engine::Ring::capacity + 7);
    for (std::size_t i = 0; i < crowd.wires.size(); ++i)
        crowd.owners[i].on_received = [&crowd, i](std::string_view bytes) {
            crowd.wires[i]->pass(bytes);
            return bytes.size();
        };
    for (int round = 0; round < 5; ++round) {
        const std::string said = "question " + std::to_string(round);
        crowd.everybody_says(said);
        ASSERT_TRUE(run_until(*crowd.loop, [&] {
            return std::ranges::all_of(crowd.owners,
                                       [&](const Listener& owner) { return owner.bytes.ends_with(said); });
        }));
        run_for(*crowd.loop, 1ms);
        for (std::size_t i = 0; i < crowd.wires.size(); ++i) ASSERT_EQ(crowd.peer(i).hear(), said);
    }
    const auto counters = crowd.loop->counters();
    if (GetParam() == Loop::Kind::epoll) {
        EXPECT_EQ(counters.batches, 0u);
    } else {
        EXPECT_GT(counters.batched, 5 * 150u);
        EXPECT_LT(counters.batches * 10, counters.batched);
    }
    EXPECT_EQ(counters.batch_failures, 0u);
}

TEST_P(together, much_for_several_wires_is_received_in_order) {
    Crowd crowd(3, true);
    std::string said(100'000, '\0');
    for (std::size_t i = 0; i < said.size(); ++i) said[i] = static_cast<char>(i * 7 + i / 300);
    // A few bytes stay unused each time, so that what comes is put behind them.
    for (Listener& owner : crowd.owners)
        owner.on_received = [](std::string_view bytes) {
            return bytes.size() - std::min<std::size_t>(bytes.size(), 3);
        };
    for (int round = 0; round < 2; ++round) crowd.everybody_says(said);
    const std::string expected = said + said.substr(0, said.size() - 3);
    ASSERT_TRUE(run_until(*crowd.loop, [&] {
        return std::ranges::all_of(crowd.owners,
                                   [&](const Listener& owner) { return owner.bytes.size() >= expected.size(); });
    }));
    for (const Listener& owner : crowd.owners) EXPECT_TRUE(owner.bytes == expected);
}

/// The owner that is called first does something to all others, whose bytes have come too.
void first_one_does(Crowd& crowd, const std::function<void(std::size_t other)>& deed) {
    auto done = std::make_shared<bool>(false);
    for (std::size_t i = 0; i < crowd.wires.size(); ++i)
        crowd.owners[i].on_received = [&crowd, i, done, deed](std::string_view bytes) {
            if (!std::exchange(*done, true))
                for (std::size_t other = 0; other < crowd.wires.size(); ++other)
                    if (other != i) deed(other);
            return bytes.size();
        };
}

TEST_P(together, a_wire_that_another_owner_stops_keeps_its_bytes) {
    Crowd crowd(4);
    first_one_does(crowd, [&](std::size_t other) { crowd.wires[other]->stop_reading(); });
    crowd.everybody_says("abc");
    run_for(*crowd.loop, 5ms);
    const auto heard = [&](const Listener& owner) { return owner.bytes == "abc"; };
    EXPECT_EQ(std::ranges::count_if(crowd.owners, heard), 1);
    crowd.everybody_says("def");
    run_for(*crowd.loop, 5ms);
    for (const auto& wire : crowd.wires) wire->start_reading();
    EXPECT_TRUE(run_until(*crowd.loop, [&] {
        return std::ranges::all_of(crowd.owners, [](const Listener& owner) { return owner.bytes == "abcdef"; });
    }));
}

TEST_P(together, a_wire_that_another_owner_stops_and_starts_is_shown_its_bytes_once) {
    Crowd crowd(4);
    first_one_does(crowd, [&](std::size_t other) {
        crowd.wires[other]->stop_reading();
        crowd.wires[other]->start_reading();
    });
    crowd.everybody_says("abc");
    run_for(*crowd.loop, 5ms);
    for (const Listener& owner : crowd.owners) EXPECT_EQ(owner.bytes, "abc");
}

TEST_P(together, a_wire_that_another_owner_closes_is_told_nothing) {
    Crowd crowd(4);
    first_one_does(crowd, [&](std::size_t other) { crowd.wires[other].reset(); });
    crowd.everybody_says("abc");
    run_for(*crowd.loop, 5ms);
    EXPECT_EQ(std::ranges::count_if(crowd.owners, [](const Listener& owner) { return owner.shows > 0; }), 1);
    EXPECT_EQ(std::ranges::count_if(crowd.pairs, [](const SocketPair& pair) { return pair.peer.has_input(); }), 3)
        << "the others see the end";
}

TEST_P(together, a_wire_that_another_owner_moves_takes_its_bytes_along) {
    const auto elsewhere = make_loop();
    std::deque<Listener> new_owners(4);
    Crowd crowd(4);
    first_one_does(crowd, [&](std::size_t other) {
        auto loose = crowd.loop->detach(std::move(crowd.wires[other]));
        crowd.wires[other] = elsewhere->attach(std::move(loose), new_owners[other]);
    });
    crowd.everybody_says("abc");
    run_for(*crowd.loop, 5ms);
    run_for(*elsewhere, 5ms);
    crowd.everybody_says("def");
    run_for(*crowd.loop, 5ms);
    run_for(*elsewhere, 5ms);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(crowd.owners[i].bytes + new_owners[i].bytes, "abcdef");
    EXPECT_EQ(std::ranges::count_if(new_owners, [](const Listener& owner) { return owner.bytes == "abcdef"; }), 3);
}

TEST_P(together, an_end_and_a_reset_are_told_to_whom_they_belong) {
    Crowd crowd(4);
    crowd.peer(0).say("bye");
    crowd.peer(0).end();
    crowd.peer(1).end();
    crowd.peer(2).reset();
    crowd.peer(3).say("still here");
    std::this_thread::sleep_for(2ms);
    ASSERT_TRUE(run_until(*crowd.loop, [&] {
        return crowd.owners[0].is_closed && crowd.owners[1].is_closed && crowd.owners[2].is_closed &&
               crowd.owners[3].bytes == "still here";
    }));
    EXPECT_EQ(crowd.owners[0].bytes, "bye");
    EXPECT_EQ(crowd.owners[0].reason, "");
    EXPECT_EQ(crowd.owners[1].reason, "");
    EXPECT_EQ(crowd.owners[2].reason, "Connection reset by peer");
    EXPECT_FALSE(crowd.owners[3].is_closed);
}

TEST_P(together, a_reset_is_told_to_a_wire_that_another_owner_has_stopped) {
    Crowd crowd(2);
    first_one_does(crowd, [&](std::size_t other) { crowd.wires[other]->stop_reading(); });
    crowd.peer(0).say("stop the other one");
    crowd.peer(1).reset();
    std::this_thread::sleep_for(2ms);
    ASSERT_TRUE(run_until(*crowd.loop, [&] { return crowd.owners[1].is_closed; }));
    EXPECT_EQ(crowd.owners[1].reason, "Connection reset by peer");
}

TEST_P(together, a_peer_that_takes_only_a_part_holds_up_nobody_else) {
    Crowd crowd(4, true);
    // The first peer's socket is nearly full when all are sent to.
    const std::string chunk(4000, 'x');
    std::string expected;
    while (!crowd.wires[0]->backed_up()) {
        crowd.wires[0]->pass(chunk);
        expected += chunk;
    }
    ::fcntl(crowd.peer(0).socket(), F_SETFL, O_NONBLOCK);
    std::string heard;
    const auto hear_first = [&] {
        char bytes[65536];
        while (true) {
            const ssize_t got = ::recv(crowd.peer(0).socket(), bytes, sizeof bytes, 0);
            if (got <= 0) return;
            heard.append(bytes, static_cast<std::size_t>(got));
        }
    };
    hear_first();
    ASSERT_TRUE(run_until(*crowd.loop, [&] { return crowd.owners[0].heard("drained"); }));
    hear_first();
    for (int round = 0; round < 200; ++round) {
        for (const auto& wire : crowd.wires) wire->put(chunk);
        expected += chunk;
        run_for(*crowd.loop, 0ms);
        for (std::size_t i = 1; i < 4; ++i) ASSERT_EQ(crowd.peer(i).hear(), chunk);
    }
    EXPECT_TRUE(crowd.wires[0]->backed_up());
    const auto drained = [&] { return std::ranges::count(crowd.owners[0].events, "drained") == 2; };
    ASSERT_TRUE(run_until(*crowd.loop, [&] {
        hear_first();
        return drained();
    }));
    hear_first();
    EXPECT_TRUE(heard == expected);
}

TEST_P(together, sending_to_peers_that_have_gone_is_told_to_their_owners_alone) {
    Crowd crowd(4, true);
    crowd.peer(1).close();
    crowd.peer(2).close();
    for (const auto& wire : crowd.wires) wire->put("hello");
    ASSERT_TRUE(run_until(*crowd.loop, [&] { return crowd.owners[1].is_closed && crowd.owners[2].is_closed; }));
    EXPECT_EQ(crowd.peer(0).hear(), "hello");
    EXPECT_EQ(crowd.peer(3).hear(), "hello");
    EXPECT_FALSE(crowd.owners[0].is_closed || crowd.owners[3].is_closed);
}

TEST_P(together, what_is_passed_in_pieces_large_and_small_stays_in_order) {
    Crowd crowd(3);
    std::string answer;
    for (std::size_t i = 0; i < crowd.wires.size(); ++i)
        crowd.owners[i].on_received = [&crowd, i, &answer](std::string_view bytes) {
            answer.clear();
            for (std::size_t size = 1; size < 40'000; size *= 3) {
                const std::string piece(size, static_cast<char>('a' + size % 26));
                size % 2 == 0 ? crowd.wires[i]->put(piece) : crowd.wires[i]->pass(piece);
                answer += piece;
            }
            crowd.wires[i]->put("end");
            answer += "end";
            return bytes.size();
        };
    crowd.everybody_says("tell");
    run_for(*crowd.loop, 5ms);
    for (std::size_t i = 0; i < crowd.wires.size(); ++i) {
        std::string heard;
        while (heard.size() < answer.size()) heard += crowd.peer(i).hear();
        EXPECT_TRUE(heard == answer);
    }
}

TEST_P(together, closing_and_moving_send_what_was_passed_in_this_turn) {
    const auto elsewhere = make_loop();
    Listener new_owner;
    Crowd crowd(3);
    crowd.owners[0].on_received = [&](std::string_view bytes) {
        crowd.wires[0]->pass("goodbye");
        crowd.wires[0].reset();
        return bytes.size();
    };
    crowd.owners[1].on_received = [&](std::string_view bytes) {
        crowd.wires[1]->pass("moving");
        auto loose = crowd.loop->detach(std::move(crowd.wires[1]));
        crowd.wires[1] = elsewhere->attach(std::move(loose), new_owner);
        return bytes.size();
    };
    crowd.everybody_says("go");
    run_for(*crowd.loop, 5ms);
    EXPECT_EQ(crowd.peer(0).hear(), "goodbye");
    EXPECT_EQ(crowd.peer(0).hear(), "");
    EXPECT_EQ(crowd.peer(1).hear(), "moving");
}

}  // namespace
}  // namespace pgkeel::test
