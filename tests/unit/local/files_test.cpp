#include "local/files.hpp"

#include "scratch_directory.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

namespace pgkeel::local {

TEST(write_file, replaces_the_content_and_is_private) {
    const ScratchDirectory scratch;
    ASSERT_TRUE(write_file(scratch / "secret", "one"));
    ASSERT_TRUE(write_file(scratch / "secret", "two"));
    EXPECT_EQ(read_file(scratch / "secret").value(), "two");
    struct stat status{};
    ASSERT_EQ(::stat((scratch / "secret").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path()), {}), 1) << "no temporary file is left";
}

TEST(write_file, says_which_file_and_why) {
    const auto done = write_file("/nonexistent/directory/file", "x");
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().text.find("/nonexistent/directory/file"), std::string::npos);
    EXPECT_NE(done.error().text.find("No such file"), std::string::npos);
}

TEST(read_file, tells_a_missing_file_from_an_unreadable_one) {
    const ScratchDirectory scratch;
    EXPECT_EQ(read_file(scratch / "nothing").error().code, Errc::not_found);
    EXPECT_EQ(read_file(scratch.path()).error().code, Errc::io_error);
}

TEST(remove_tree, does_not_follow_links) {
    const ScratchDirectory scratch;
    std::filesystem::create_directories(scratch / "kept");
    std::ofstream(scratch / "kept/file") << "x";
    std::filesystem::create_directories(scratch / "gone/below");
    std::filesystem::create_directory_symlink(scratch / "kept", scratch / "gone/below/link");
    ASSERT_TRUE(remove_tree(scratch / "gone"));
    EXPECT_FALSE(std::filesystem::exists(scratch / "gone"));
    EXPECT_TRUE(std::filesystem::exists(scratch / "kept/file"));
}

TEST(directory_lock, is_held_by_one_at_a_time) {
    const ScratchDirectory scratch;
    {
        const auto first = DirectoryLock::take(scratch.path());
        ASSERT_TRUE(first);
        const auto second = DirectoryLock::take(scratch.path());
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Errc::conflict);
        EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos);
    }
    EXPECT_TRUE(DirectoryLock::take(scratch.path()));
}

// What the end of a rotation and an `up` beside it do to each other.
TEST(directory_lock, is_waited_for_with_patience) {
    const ScratchDirectory scratch;
    std::optional<DirectoryLock> first;
    {
        auto taken = DirectoryLock::take(scratch.path());
        ASSERT_TRUE(taken);
        first.emplace(std::move(*taken));
    }
    EXPECT_FALSE(DirectoryLock::take(scratch.path(), std::chrono::milliseconds(50)));
    const std::jthread holder([&first] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        first.reset();
    });
    EXPECT_TRUE(DirectoryLock::take(scratch.path(), std::chrono::seconds(30)));
}

}  // namespace pgkeel::local
