#include "process/memory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace pgkeel {

namespace {

/// Pages of files that are in this process's memory, in kB.
long resident_of_files() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        long size = 0;
        if (word == "RssFile:" && status >> size) return size;
    }
    return 0;
}

}  // namespace

TEST(memory, gives_back_pages_and_what_is_needed_comes_back) {
    const long before = resident_of_files();
    release_unused_pages();
    const long after = resident_of_files();
    EXPECT_GT(before, after + before / 3);
    // Relocated data (virtual tables, the unwinder's) has stayed, code and constants come back.
    EXPECT_THROW(throw std::runtime_error("thrown"), std::exception);
    EXPECT_EQ(std::stod("0.5"), 0.5);
    release_unused_pages();
}

}  // namespace pgkeel
