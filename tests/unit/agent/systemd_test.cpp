#include "agent/systemd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace pgkeel::agent {
namespace {

/// What systemd is to a service: a datagram socket that reads.
class FakeSystemd {
  public:
    explicit FakeSystemd(const std::string& name)
        : name_(name), socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        const bool abstract = name[0] == '@';
        if (abstract) address.sun_path[0] = '\0';
        const std::size_t length = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
        bound_ = bind(socket_, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length)) == 0;
    }
    ~FakeSystemd() {
        close(socket_);
        if (name_[0] == '/') unlink(name_.c_str());
    }
    FakeSystemd(const FakeSystemd&) = delete;
    FakeSystemd& operator=(const FakeSystemd&) = delete;

    bool bound() const { return bound_; }
    std::string heard() const {
        std::array<char, 512> buffer{};
        const ssize_t bytes = recv(socket_, buffer.data(), buffer.size(), 0);
        return bytes < 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(bytes));
    }

  private:
    std::string name_;
    int socket_;
    bool bound_ = false;
};

class Systemd : public testing::TestWithParam<const char*> {
  protected:
    void TearDown() override {
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    }
    std::string path() const {
        const std::string own = "pgkeel-notify-" + std::to_string(getpid());
        return GetParam()[0] == '@' ? "@" + own : (std::filesystem::temp_directory_path() / own).string();
    }
};

TEST_P(Systemd, hears_how_far_we_are) {
    const FakeSystemd systemd(path());
    ASSERT_TRUE(systemd.bound());
    setenv("NOTIFY_SOCKET", path().c_str(), 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
    ServiceManager manager = ServiceManager::from_environment();
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
    EXPECT_EQ(std::getenv("WATCHDOG_USEC"), nullptr);
    ASSERT_TRUE(manager.there());
    EXPECT_EQ(manager.watchdog_interval(), std::chrono::seconds(3));
    manager.ready();
    EXPECT_EQ(systemd.heard(), "READY=1");
    manager.reloading();
    EXPECT_TRUE(systemd.heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    ServiceManager moved = std::move(manager);
    moved.alive();
    EXPECT_EQ(systemd.heard(), "WATCHDOG=1");
    moved.stopping();
    EXPECT_EQ(systemd.heard(), "STOPPING=1");
    EXPECT_EQ(systemd.heard(), "");
}

TEST_P(Systemd, wants_no_sign_of_life_of_another_process) {
    const FakeSystemd systemd(path());
    setenv("NOTIFY_SOCKET", path().c_str(), 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    ServiceManager manager = ServiceManager::from_environment();
    EXPECT_FALSE(manager.watchdog_interval());
    manager.alive();
    EXPECT_EQ(systemd.heard(), "");
}

INSTANTIATE_TEST_SUITE_P(sockets, Systemd, testing::Values("@", "/"),
                         [](const auto& info) { return info.param[0] == '@' ? "abstract" : "path"; });

TEST(service_manager, that_is_not_there_is_no_trouble) {
    unsetenv("NOTIFY_SOCKET");
    ServiceManager none = ServiceManager::from_environment();
    EXPECT_FALSE(none.there());
    none.ready();
    for (const std::string& bad :
         {std::string("relative"), std::string("@"), "/" + std::string(200, 'x'), std::string("/nowhere/at/all")}) {
        setenv("NOTIFY_SOCKET", bad.c_str(), 1);
        ServiceManager manager = ServiceManager::from_environment();
        EXPECT_FALSE(manager.there()) << bad;
        manager.stopping();
    }
}

}  // namespace
}  // namespace pgkeel::agent
