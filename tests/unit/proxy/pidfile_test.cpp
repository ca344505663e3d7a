#include "proxy/pidfile.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace pgkeel::proxy {
namespace {

namespace fs = std::filesystem;

class PidfileTest : public testing::Test {
  protected:
    PidfileTest() {
        char name[] = "/tmp/pgkeel-pidfile-XXXXXX";
        directory_ = mkdtemp(name);
        path_ = directory_ / "proxy.pid";
    }
    ~PidfileTest() override { fs::remove_all(directory_); }

    void put(const std::string& text) const { std::ofstream(path_) << text; }
    std::string content() const {
        std::ifstream in(path_);
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }
    static std::string own() { return fmt::format("{}\n", getpid()); }

    fs::path directory_, path_;
};

/// A child that sleeps until it is ended.
struct Sleeper {
    pid_t pid = fork();
    Sleeper() {
        if (pid == 0) {
            pause();
            _exit(0);
        }
    }
    ~Sleeper() { end(); }
    void end() {
        if (pid <= 0) return;
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        pid = 0;
    }
};

TEST_F(PidfileTest, holds_our_process_and_is_removed_at_the_end) {
    {
        const auto pidfile = Pidfile::claim(path_);
        ASSERT_TRUE(pidfile);
        EXPECT_EQ(content(), own());
        EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
    }
    EXPECT_FALSE(fs::exists(path_));
}

TEST_F(PidfileTest, of_a_process_that_lives_is_refused_and_left) {
    const Sleeper other;
    put(fmt::format("{}\n", other.pid));
    const auto pidfile = Pidfile::claim(path_);
    ASSERT_FALSE(pidfile);
    EXPECT_EQ(pidfile.error().code, Errc::already_exists);
    EXPECT_NE(pidfile.error().text.find(std::to_string(other.pid)), std::string::npos);
    EXPECT_EQ(content(), fmt::format("{}\n", other.pid));
}

TEST_F(PidfileTest, of_a_dead_process_is_replaced) {
    Sleeper other;
    put(fmt::format("{}\n", other.pid));
    other.end();
    EXPECT_TRUE(Pidfile::claim(path_));
}

TEST_F(PidfileTest, of_a_dead_process_that_nobody_waited_for_is_replaced) {
    const Sleeper other;
    kill(other.pid, SIGKILL);
    siginfo_t ended{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(other.pid), &ended, WEXITED | WNOWAIT), 0);
    put(fmt::format("{}\n", other.pid));
    EXPECT_TRUE(Pidfile::claim(path_));
}

TEST_F(PidfileTest, that_is_empty_or_names_us_is_replaced) {
    for (const std::string& text : {std::string(), own()}) {
        put(text);
        const auto pidfile = Pidfile::claim(path_);
        ASSERT_TRUE(pidfile);
        EXPECT_EQ(content(), own());
    }
}

TEST_F(PidfileTest, that_holds_something_else_is_no_pidfile_and_is_left) {
    for (const std::string& text : {"root:x:0:0", "12 monkeys\n", "-1\n", "0\n", "99999999999999999999\n"}) {
        put(text);
        const auto pidfile = Pidfile::claim(path_);
        ASSERT_FALSE(pidfile) << text;
        EXPECT_EQ(pidfile.error().code, Errc::invalid_input);
        EXPECT_EQ(content(), text);
    }
}

TEST_F(PidfileTest, that_another_process_has_taken_over_is_left_to_it) {
    const Sleeper other;
    {
        const auto pidfile = Pidfile::claim(path_);
        ASSERT_TRUE(pidfile);
        put(fmt::format("{}\n", other.pid));
    }
    EXPECT_EQ(content(), fmt::format("{}\n", other.pid));
}

TEST_F(PidfileTest, of_a_process_that_lives_can_be_taken_over) {
    const Sleeper other;
    put(fmt::format("{}\n", other.pid));
    const auto pidfile = Pidfile::take_over(path_);
    ASSERT_TRUE(pidfile);
    EXPECT_EQ(content(), own());
}

TEST_F(PidfileTest, in_no_directory_is_an_error_that_names_it) {
    const auto pidfile = Pidfile::claim(directory_ / "missing" / "p.pid");
    ASSERT_FALSE(pidfile);
    EXPECT_EQ(pidfile.error().code, Errc::io_error);
    EXPECT_NE(pidfile.error().text.find("missing/p.pid"), std::string::npos);
}

}  // namespace
}  // namespace pgkeel::proxy
