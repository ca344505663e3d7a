#include "base/socket_directory.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace pgkeel {
namespace {

namespace fs = std::filesystem;

struct socket_directory_id_of : testing::Test {
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "pgkeel-socket-XXXXXX").string();
        directory = mkdtemp(pattern.data());
        fs::create_directory(directory / "a");
        fs::create_directory(directory / "b");
    }
    void TearDown() override { fs::remove_all(directory); }
    fs::path directory;
};

TEST_F(socket_directory_id_of, two_directories_are_different) {
    EXPECT_NE(socket_directory_id(directory / "a"), "");
    EXPECT_NE(socket_directory_id(directory / "a"), socket_directory_id(directory / "b"));
}

TEST_F(socket_directory_id_of, one_directory_is_the_same_by_whatever_path) {
    fs::create_directory_symlink(directory / "a", directory / "link");
    EXPECT_EQ(socket_directory_id(directory / "link"), socket_directory_id(directory / "a"));
    EXPECT_EQ(socket_directory_id(directory / "b/../a/"), socket_directory_id(directory / "a"));
}

TEST_F(socket_directory_id_of, what_is_no_directory_is_empty) {
    EXPECT_EQ(socket_directory_id(directory / "missing"), "");
    EXPECT_EQ(socket_directory_id("/dev/null"), "");
    EXPECT_EQ(socket_directory_id(""), "");
}

}  // namespace
}  // namespace pgkeel
