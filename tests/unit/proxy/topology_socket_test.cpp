#include "proxy/topology_socket.hpp"

#include "base/socket_directory.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace pgkeel::proxy {
namespace {

namespace fs = std::filesystem;

struct SocketDirectory : testing::Test {
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "pgkeel-socket-XXXXXX").string();
        directory = mkdtemp(pattern.data());
    }
    void TearDown() override {
        if (listener >= 0) close(listener);
        fs::remove_all(directory);
    }
    void listen_as(const std::string& port) {
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = directory + "/.s.PGSQL." + port;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    SocketClaim claim(const std::string& port) const {
        return {.directory = directory, .id = socket_directory_id(directory), .port = port};
    }

    std::string directory;
    int listener = -1;
};

TEST_F(SocketDirectory, is_here_when_the_directory_is_the_same_and_has_the_socket) {
    listen_as("5432");
    EXPECT_TRUE(is_here(claim("5432")));
    EXPECT_FALSE(is_here(claim("5433"))) << "another server's";
}

TEST_F(SocketDirectory, of_another_machine_is_not_here_though_the_path_is_the_same) {
    listen_as("5432");
    SocketClaim other = claim("5432");
    other.id = "00000000-0000-4000-8000-000000000000" + other.id.substr(other.id.find(':'));
    EXPECT_FALSE(is_here(other));
    other.id.clear();
    EXPECT_FALSE(is_here(other)) << "nothing proves it";
}

TEST_F(SocketDirectory, of_another_container_is_not_here_though_the_path_is_the_same) {
    listen_as("5432");
    const SocketClaim before = claim("5432");
    // The old directory stays alive under another name, so its inode is not used again.
    fs::rename(directory, directory + "-other");
    fs::create_directory(directory);
    close(listener);
    listen_as("5432");
    EXPECT_FALSE(is_here(before));
    EXPECT_TRUE(is_here(claim("5432")));
    fs::remove_all(directory + "-other");
}

TEST_F(SocketDirectory, is_recognized_through_another_path) {
    listen_as("5432");
    const std::string link = directory + "-link";
    fs::create_symlink(directory, link);
    SocketClaim through = claim("5432");
    through.directory = link;
    EXPECT_TRUE(is_here(through));
    fs::remove(link);
}

TEST_F(SocketDirectory, is_of_no_use_to_who_may_not_connect) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    listen_as("5432");
    chmod(directory.c_str(), 0755);
    const std::string path = directory + "/.s.PGSQL.5432";
    const auto seen_by_nobody = [&](mode_t mode) {
        chmod(path.c_str(), mode);
        EXPECT_EQ(seteuid(65534), 0);
        const bool here = is_here(claim("5432"));
        EXPECT_EQ(seteuid(0), 0);
        return here;
    };
    EXPECT_TRUE(seen_by_nobody(0777));
    EXPECT_FALSE(seen_by_nobody(0700));
}

TEST_F(SocketDirectory, without_a_socket_is_not_here) {
    EXPECT_FALSE(is_here(claim("5432")));
    std::ofstream(directory + "/.s.PGSQL.5432") << "a file";
    EXPECT_FALSE(is_here(claim("5432")));
    EXPECT_EQ(socket_directory_id(directory + "/.s.PGSQL.5432"), "");
    EXPECT_EQ(socket_directory_id(directory + "/missing"), "");
    EXPECT_FALSE(is_here({.directory = "relative", .id = "x", .port = "5432"}));
}

}  // namespace
}  // namespace pgkeel::proxy
