#include "wires.hpp"

#include <filesystem>

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace pgkeel::test {
namespace {

class Directory {
  public:
    Directory() {
        if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp");
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Endpoint socket() const { return {.host = path_ + "/.s.PGSQL.6432"}; }

  private:
    std::string path_ = (std::filesystem::temp_directory_path() / "pgkeel_engine_XXXXXX").string();
};

class listener : public OnEachEngine {};
ON_EACH_ENGINE(listener);

TEST_P(listener, gives_each_client_as_a_socket_that_does_not_block) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    std::vector<Peer> accepted, clients;
    const auto number = loop->listen(listening, [&](int socket) { accepted.emplace_back(socket); });
    for (int i = 0; i < 100; ++i) clients.push_back(connect_tcp(port_of(listening)));
    ASSERT_TRUE(run_until(*loop, [&] { return accepted.size() == 100; }));
    EXPECT_EQ(loop->counters().accepted, 100u);
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    ::getsockopt(accepted[0].socket(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
    EXPECT_NE(no_delay, 0);
    EXPECT_NE(::fcntl(accepted[0].socket(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(accepted[0].socket(), F_GETFD) & FD_CLOEXEC, 0);

    loop->stop_listening(number);
    clients.push_back(connect_tcp(port_of(listening)));
    run_for(*loop, 10ms);
    EXPECT_EQ(accepted.size(), 100u);
    ::close(listening);
}

int option(int socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    ::getsockopt(socket, level, name, &value, &size);
    return value;
}

TEST_P(listener, gives_the_options_of_tcp_to_what_it_accepts) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    std::vector<int> accepted;
    loop->listen(listening, [&](int socket) { accepted.push_back(socket); });
    const Peer usual = connect_tcp(port_of(listening));
    const Peer other = connect_tcp(port_of(listening));
    ASSERT_TRUE(run_until(*loop, [&] { return accepted.size() == 2; }));
    EXPECT_EQ(option(accepted[0], IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(accepted[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    Listener first, second;
    const auto first_wire =
        loop->adopt_accepted(accepted[0], false, first, {.keepalive_count = 7, .user_timeout_ms = 1234});
    const auto second_wire = loop->adopt_accepted(accepted[1], false, second, {.keepalive = false});
    EXPECT_EQ(option(accepted[0], IPPROTO_TCP, TCP_KEEPCNT), 7);
    EXPECT_EQ(option(accepted[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
    EXPECT_EQ(option(accepted[1], SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_EQ(first_wire->facts().address, "127.0.0.1");
    EXPECT_EQ(first_wire->facts().local_port, port_of(listening));
    ::close(listening);
}

TEST_P(listener, may_be_stopped_from_its_own_call) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    int accepted = 0;
    std::uint64_t number = 0;
    number = loop->listen(listening, [&](int socket) {
        ++accepted;
        ::close(socket);
        loop->stop_listening(number);
    });
    const Peer first = connect_tcp(port_of(listening)), second = connect_tcp(port_of(listening));
    ASSERT_TRUE(run_until(*loop, [&] { return accepted > 0; }));
    run_for(*loop, 10ms);
    EXPECT_EQ(accepted, 1);
    ::close(listening);
}

TEST_P(listener, rests_while_there_are_no_descriptors_and_then_goes_on) {
    const auto loop = make_loop();
    const int listening = tcp_listener();
    std::vector<Peer> accepted;
    loop->listen(listening, [&](int socket) { accepted.emplace_back(socket); });
    const Peer client = connect_tcp(port_of(listening));
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const auto turns = loop->counters().turns;
    run_for(*loop, 150ms);
    EXPECT_TRUE(accepted.empty());
    EXPECT_GE(loop->counters().accept_pauses, 1u);
    EXPECT_LE(loop->counters().accept_pauses, 3u);
    EXPECT_LT(loop->counters().turns - turns, 20u) << "it spins";
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(run_until(*loop, [&] { return accepted.size() == 1; }));
    ::close(listening);
}

TEST(open_listener, of_a_taken_port_says_who_is_to_blame) {
    const int listening = tcp_listener();
    const auto second = engine::open_listener({.host = "127.0.0.1", .port = port_of(listening)}, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::already_exists);
    ::close(listening);
}

TEST(open_listener, a_shared_port_takes_several) {
    const auto first = engine::open_listener({.host = "127.0.0.1"}, {.share = true});
    ASSERT_TRUE(first);
    const auto second = engine::open_listener({.host = "127.0.0.1", .port = port_of(*first)}, {.share = true});
    EXPECT_TRUE(second) << second.error().line();
    ::close(*first);
    if (second) ::close(*second);
}

TEST_P(listener, of_a_unix_socket_replaces_a_stale_one_and_spares_a_living_one) {
    const Directory directory;
    const auto first = engine::open_listener(directory.socket(), {.unix_mode = 0700});
    ASSERT_TRUE(first) << first.error().line();
    struct stat file{};
    ASSERT_EQ(::stat(directory.socket().host.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 07777, 0700u);
    const auto second = engine::open_listener(directory.socket(), {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::already_exists);
    ::close(*first);
    const auto third = engine::open_listener(directory.socket(), {});
    ASSERT_TRUE(third) << third.error().line();

    const auto loop = make_loop();
    Peer accepted;
    loop->listen(*third, [&](int socket) { accepted = Peer(socket); });
    Listener owner;
    const auto wire = loop->connect(directory.socket(), owner, {});
    ASSERT_TRUE(run_until(*loop, [&] { return owner.heard("connected") && accepted.socket() >= 0; }));
    EXPECT_TRUE(wire->facts().unix_socket);
    EXPECT_EQ(wire->facts().address, "unix");
    EXPECT_EQ(wire->facts().peer_pid, ::getpid());
    EXPECT_EQ(wire->facts().peer_uid, static_cast<std::int64_t>(::getuid()));
    ::close(*third);
}

TEST_P(listener, of_an_abstract_unix_socket_needs_no_file) {
    const Endpoint at{.host = "@pgkeel-engine-test-" + std::to_string(::getpid())};
    const auto listening = engine::open_listener(at, {});
    ASSERT_TRUE(listening) << listening.error().line();
    const auto second = engine::open_listener(at, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::already_exists);
    const auto loop = make_loop();
    Peer accepted;
    loop->listen(*listening, [&](int socket) { accepted = Peer(socket); });
    Listener owner;
    const auto wire = loop->connect(at, owner, {});
    EXPECT_TRUE(run_until(*loop, [&] { return owner.heard("connected") && accepted.socket() >= 0; }));
    ::close(*listening);
}

TEST(open_listener, of_a_unix_socket_does_not_remove_a_file_that_is_none) {
    const Directory directory;
    ::close(::open(directory.socket().host.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    EXPECT_FALSE(engine::open_listener(directory.socket(), {}));
    EXPECT_TRUE(std::filesystem::exists(directory.socket().host));
}

TEST(open_listener, names_what_is_wrong_with_a_path_or_a_group) {
    const auto too_long = engine::open_listener({.host = "/" + std::string(200, 'x')}, {});
    ASSERT_FALSE(too_long);
    EXPECT_NE(too_long.error().text.find("too long"), std::string::npos);
    const Directory directory;
    const auto group = engine::open_listener(directory.socket(), {.unix_group = "no-such-group"});
    ASSERT_FALSE(group);
    EXPECT_NE(group.error().text.find("no-such-group"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(directory.socket().host)) << "nobody may come through it";
}

}  // namespace
}  // namespace pgkeel::test
