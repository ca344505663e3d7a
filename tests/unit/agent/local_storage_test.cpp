#include "agent/local_storage.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/mount.h>
#include <unistd.h>

namespace pgkeel::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class local_storage : public ::testing::Test {
  protected:
    local_storage() {
        std::string pattern = (fs::temp_directory_path() / "pgkeel_storage_XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
        directory = pattern;
    }
    ~local_storage() override {
        if (mounted) ::umount2(directory.c_str(), MNT_DETACH);
        std::error_code ignored;
        fs::remove_all(directory, ignored);
    }
    /// A volume of its own, which can be filled.
    bool mount_small_volume() {
        mounted = ::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=256k") == 0;
        return mounted;
    }
    void fill() const {
        std::ofstream file(directory + "/rubbish");
        for (int i = 0; i < 1000 && file; ++i) file << std::string(1024, 'x') << std::flush;
    }
    std::string directory;
    bool mounted = false;
};

TEST_F(local_storage, writes_and_leaves_nothing_behind) {
    EXPECT_EQ(write_and_sync(directory), 0);
    EXPECT_TRUE(fs::is_empty(directory));
    EXPECT_EQ(write_and_sync(directory + "/not_there_yet"), 0) << "a node without data is no broken one";
}

TEST_F(local_storage, also_where_every_file_has_a_name) {
    const int file = open_named(directory);
    ASSERT_GE(file, 0);
    EXPECT_EQ(::write(file, "x", 1), 1);
    EXPECT_TRUE(fs::is_empty(directory));
    ::close(file);
    EXPECT_EQ(open_named(directory + "/not_there_yet"), -1);
}

TEST_F(local_storage, sees_a_full_volume_and_that_there_is_room_again) {
    if (!mount_small_volume()) GTEST_SKIP() << "needs the right to mount a tmpfs";
    EXPECT_EQ(write_and_sync(directory), 0);
    fill();
    EXPECT_EQ(write_and_sync(directory), ENOSPC);
    const LocalStorage storage(directory, 10s);
    const Instant begun = Boottime::now();
    while (storage.trouble(begun + 60s).why.empty() && Boottime::now() < begun + 10s) std::this_thread::sleep_for(20ms);
    EXPECT_EQ(storage.trouble(begun + 60s).why, "nothing can be written to " + directory + ": No space left on device");
    EXPECT_FALSE(storage.trouble(begun + 60s).hangs);
    EXPECT_EQ(storage.trouble(begun).why, "") << "for a moment that is not worth a failover";
    fs::remove(directory + "/rubbish");
    while (!storage.trouble(begun + 60s).why.empty() && Boottime::now() < begun + 10s)
        std::this_thread::sleep_for(20ms);
    EXPECT_EQ(storage.trouble(begun + 60s).why, "");
}

TEST_F(local_storage, that_nobody_looks_at_is_never_in_trouble) {
    EXPECT_EQ(LocalStorage(directory, 0s).trouble(Boottime::now() + 1h).why, "");
}

}  // namespace
}  // namespace pgkeel::agent
