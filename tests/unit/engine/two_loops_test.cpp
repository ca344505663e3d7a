#include "wires.hpp"

#include "base/descriptor.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace pgkeel::test {
namespace {

/// A loop on a thread of its own.
class LoopThread {
  public:
    ~LoopThread() {
        loop_->stop();
        thread_.join();
    }
    Loop& operator*() { return *loop_; }
    Loop* operator->() { return loop_.get(); }

  private:
    std::unique_ptr<Loop> loop_ = make_loop();
    std::thread thread_{[this] { loop_->run(); }};
};

/// Sends back what it gets, and stops to read while that does not go.
class Echo final : public pool::WireOwner {
  public:
    std::size_t received(std::string_view bytes) override {
        wire->pass(bytes);
        if (wire->backed_up()) wire->stop_reading();
        return bytes.size();
    }
    void drained() override { wire->start_reading(); }
    void closed(const std::string&) override {
        wire.reset();
        is_closed = true;
    }
    pool::OwnedWire wire;
    std::atomic<bool> is_closed = false;
};

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 777);
    return bytes;
}

class two_loops : public OnEachEngine {};
ON_EACH_ENGINE(two_loops);

TEST_P(two_loops, echo_megabytes_between_their_threads) {
    const int listening = tcp_listener();
    LoopThread server;
    Echo echo;
    server->post([&] { server->listen(listening, [&](int socket) { echo.wire = server->adopt(socket, echo, {}); }); });
    const std::string sent = pattern(8'000'000);
    {
        const auto client = make_loop();
        Listener owner;
        pool::OwnedWire wire = client->connect({.host = "127.0.0.1", .port = port_of(listening)}, owner, {});
        owner.on_connected = [&] { wire->pass(sent); };
        EXPECT_TRUE(run_until(*client, [&] { return owner.bytes.size() == sent.size(); }));
        EXPECT_TRUE(owner.bytes == sent);
        wire.reset();
        run_for(*client, 1ms);
    }
    for (int i = 0; i < 1000 && !echo.is_closed; ++i) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(echo.is_closed);
    ::close(listening);
}

/// Echoes some of it on one loop, then goes to the next one: for ever.
class Wanderer final : public pool::WireOwner {
  public:
    void live_in(std::vector<Loop*> homes) { homes_ = std::move(homes); }
    void settle(pool::OwnedWire wire) { wire_ = std::move(wire); }
    std::size_t received(std::string_view bytes) override {
        const std::size_t used = std::min<std::size_t>(bytes.size(), 5000);
        wire_->pass(bytes.substr(0, used));
        Loop* const here = homes_[at_];
        if (!moving_) {
            moving_ = true;
            here->post([this] { move(); });
        }
        wire_->stop_reading();
        return used;
    }
    void closed(const std::string&) override {
        wire_.reset();
        is_closed = true;
    }
    std::atomic<int> moves = 0;
    std::atomic<bool> is_closed = false;

  private:
    void move() {
        moving_ = false;
        if (!wire_) return;
        auto loose = std::make_shared<engine::LooseWire>(homes_[at_]->detach(std::move(wire_)));
        at_ = (at_ + 1) % homes_.size();
        Loop* const next = homes_[at_];
        ++moves;
        next->post([this, next, loose] { wire_ = next->attach(std::move(*loose), *this); });
    }
    std::vector<Loop*> homes_;
    std::size_t at_ = 0;
    bool moving_ = false;
    pool::OwnedWire wire_;
};

TEST_P(two_loops, a_wire_that_moves_under_traffic_loses_nothing) {
    auto [socket, peer] = connected_pair(false);
    const std::string sent = pattern(2'000'000);
    std::string heard;
    {
        Wanderer wanderer;  // outlives the threads: they may have a move of it to look at when all is heard
        LoopThread first, second;
        wanderer.live_in({&*first, &*second});
        first->post([&, &ours = socket] { wanderer.settle(first->adopt(ours, wanderer, {})); });
        std::thread talker([&, &other = peer] {
            other.say(sent);
            other.end();
        });
        while (heard.size() < sent.size()) {
            const std::string more = peer.hear();
            if (more.empty()) break;
            heard += more;
        }
        talker.join();
        for (int i = 0; i < 5000 && !wanderer.is_closed; ++i) std::this_thread::sleep_for(1ms);
        EXPECT_TRUE(wanderer.is_closed);
        EXPECT_GT(wanderer.moves, 100);
    }
    EXPECT_TRUE(heard == sent);
}

TEST_P(two_loops, a_wire_takes_its_unused_and_its_unsent_bytes_along) {
    auto [socket, peer] = connected_pair(true);
    const auto first = make_loop(), second = make_loop();
    Listener before, after;
    before.on_received = [](std::string_view) { return std::size_t{3}; };
    auto wire = first->adopt(socket, before, {});
    peer.say("abcdef");
    ASSERT_TRUE(run_until(*first, [&] { return before.bytes == "abc"; }));
    const std::string answer = pattern(3'000'000);
    wire->pass(answer);
    EXPECT_TRUE(wire->backed_up());
    auto loose = first->detach(std::move(wire));
    wire = second->attach(std::move(loose), after);
    EXPECT_TRUE(wire->backed_up());
    ASSERT_TRUE(run_until(*second, [&] { return after.bytes == "def"; }));
    std::string heard;
    std::thread reader([&, &other = peer] {
        while (heard.size() < answer.size()) heard += other.hear();
    });
    EXPECT_TRUE(run_until(*second, [&] { return after.heard("drained"); }));
    reader.join();
    EXPECT_TRUE(heard == answer);
    peer.end();
    EXPECT_TRUE(run_until(*second, [&] { return after.is_closed; }));
    EXPECT_FALSE(before.is_closed);
}

TEST_P(two_loops, a_wire_may_leave_from_inside_its_own_received) {
    auto [socket, peer] = connected_pair(false);
    const auto first = make_loop(), second = make_loop();
    Listener before, after;
    pool::OwnedWire wire;
    before.on_received = [&](std::string_view bytes) {
        auto loose = first->detach(std::move(wire));
        wire = second->attach(std::move(loose), after);
        return bytes.size();
    };
    wire = first->adopt(socket, before, {});
    peer.say("one");
    ASSERT_TRUE(run_until(*first, [&] { return before.bytes == "one"; }));
    peer.say("two");
    ASSERT_TRUE(run_until(*second, [&] { return after.bytes == "two"; }));
}

TEST_P(two_loops, a_dropped_loose_wire_closes_its_socket) {
    auto [socket, peer] = connected_pair(false);
    const auto loop = make_loop();
    Listener owner;
    {
        const auto loose = loop->detach(loop->adopt(socket, owner, {}));
    }
    EXPECT_EQ(peer.hear(), "");
}

/// Whether any epoll instance of this process has `socket` among its targets (proc(5), fdinfo).
bool is_watched(int socket) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream info(entry.path());
        for (std::string line; std::getline(info, line);) {
            std::istringstream words(line);
            std::string name;
            int number = -1;
            if (words >> name >> number && name == "tfd:" && number == socket) return true;
        }
    }
    return false;
}

// During an online restart two processes have every socket, and close() ends what epoll watches only when the last
// copy goes: what the kernel reports then must not reach a wire that is no more.
TEST_P(two_loops, a_closed_wire_is_not_watched_although_its_socket_lives_on_elsewhere) {
    auto [socket, peer] = connected_pair(false);
    const Descriptor copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    const auto loop = make_loop();
    Listener owner;
    auto wire = loop->adopt(socket, owner, {});
    EXPECT_TRUE(is_watched(socket));
    wire.reset();
    EXPECT_FALSE(is_watched(socket));
    peer.say("too late");
    run_for(*loop, 5ms);
    EXPECT_EQ(owner.bytes, "");
}

}  // namespace
}  // namespace pgkeel::test
