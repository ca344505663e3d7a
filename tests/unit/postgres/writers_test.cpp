#include "postgres/writers.hpp"

#include "postgres/data_directory.hpp"
#include "postgres/postmaster.hpp"
#include "temporary_directory.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
using namespace std::chrono_literals;
namespace {

/// A script that goes on by itself, as those of a killed agent do, and the program that it has started.
struct Script {
    explicit Script(const std::string& data_directory, const std::string& child_file) {
        Command command{.arguments = {"sh", "-c", "setsid sleep 600 & echo $! > \"$0\"; wait", child_file},
                        .environment = {},
                        .new_session = true};
        mark_as_writer(command, data_directory);
        const auto started = start_detached(command);
        if (!started) return;
        pid = *started;
        for (int i = 0; i < 500 && child <= 0; ++i) {
            if (const auto text = read_file(child_file)) child = std::atoi(text->c_str());
            std::this_thread::sleep_for(10ms);
        }
    }
    ~Script() {
        for (const pid_t each : {pid, child})
            if (each > 0) kill(each, SIGKILL);
    }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;
    bool whole() const { return process_identity(pid) && process_identity(child); }
    bool gone() const { return !process_identity(pid) && !process_identity(child); }
    pid_t pid = 0;
    pid_t child = 0;
};

TEST(end_writers, ends_all_that_was_started_for_this_directory_and_nothing_else) {
    const TemporaryDirectory here;
    fs::create_directory(here / "real");
    fs::create_directory_symlink(here / "real", here / "link");
    const Script mine(here / "link/data", here / "mine.pid");
    const Script others(here / "real/data2", here / "others.pid");
    ASSERT_TRUE(mine.whole());
    ASSERT_TRUE(others.whole());
    const auto ended = end_writers(here / "real/data");
    ASSERT_TRUE(ended) << ended.error().line();
    EXPECT_TRUE(mine.gone());
    EXPECT_TRUE(others.whole());
}

TEST(end_writers, are_ended_before_a_directory_is_filled_emptied_or_rewound) {
    const TemporaryDirectory here;
    const std::string data = here / "data";
    {
        const Script left(data, here / "1.pid");
        ASSERT_TRUE(left.whole());
        ASSERT_TRUE(begin_filling(data, {}));
        EXPECT_TRUE(left.gone());
    }
    make_cluster(data);
    {
        const Script left(data, here / "2.pid");
        ASSERT_TRUE(left.whole());
        ASSERT_TRUE(begin_rewinding(data, {}));
        EXPECT_TRUE(left.gone());
    }
    {
        const Script left(data, here / "3.pid");
        ASSERT_TRUE(left.whole());
        ASSERT_TRUE(set_data_directory_aside(data, "aside"));
        EXPECT_TRUE(left.gone());
    }
    make_cluster(data);
    const Script left(data, here / "4.pid");
    ASSERT_TRUE(left.whole());
    ASSERT_TRUE(wipe_data_directory(data));
    EXPECT_TRUE(left.gone());
}

}  // namespace
}  // namespace pgkeel::postgres
