#include "local/ports.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

namespace pgkeel::local {

namespace {
/// Listens on a port of 127.0.0.1 that the kernel chooses.
class Listener {
  public:
    Listener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* any = reinterpret_cast<sockaddr*>(&address);
        if (::bind(descriptor_, any, size) != 0 || ::listen(descriptor_, 1) != 0) std::abort();
        ::getsockname(descriptor_, any, &size);
        port_ = ntohs(address.sin_port);
    }
    ~Listener() { ::close(descriptor_); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    int port() const { return port_; }

  private:
    int descriptor_;
    int port_ = 0;
};
}  // namespace

TEST(ports, a_listening_server_takes_its_port) {
    int port = 0;
    {
        const Listener listener;
        port = listener.port();
        EXPECT_FALSE(port_is_free(port));
        EXPECT_EQ(listener_of(port), ::getpid());
    }
    EXPECT_TRUE(port_is_free(port));
    EXPECT_FALSE(listener_of(port));
}

TEST(ports, chosen_ones_are_different_free_and_below_the_outgoing_range) {
    const auto first = choose_ports(12);
    ASSERT_TRUE(first);
    const auto more = choose_ports(12, *first);
    ASSERT_TRUE(more);
    std::set<int> all(first->begin(), first->end());
    all.insert(more->begin(), more->end());
    EXPECT_EQ(all.size(), 24U);
    for (const int port : all) {
        EXPECT_LT(port, 32768);
        EXPECT_TRUE(port_is_free(port)) << port;
    }
}

}  // namespace pgkeel::local
