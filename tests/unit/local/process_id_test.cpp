#include "local/process_id.hpp"

#include "local/files.hpp"
#include "scratch_directory.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pgkeel::local {

namespace {
/// A process that waits for a signal; ended and reaped with the object.
class Sleeper {
  public:
    explicit Sleeper(const char* directory = "/") : pid_(::fork()) {
        if (pid_ != 0) return;
        if (::chdir(directory) != 0) ::_exit(1);
        for (;;) ::pause();
    }
    ~Sleeper() {
        ::kill(pid_, SIGKILL);
        reap();
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    pid_t pid() const { return pid_; }
    void reap() {
        if (!reaped_) ::waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }

  private:
    pid_t pid_;
    bool reaped_ = false;
};
}  // namespace

TEST(process_id, survives_a_pid_file) {
    const ScratchDirectory scratch;
    const auto self = identify(::getpid());
    ASSERT_TRUE(self);
    EXPECT_GT(self->start_ticks, 0U);
    ASSERT_TRUE(save(*self, scratch / "pid"));
    EXPECT_EQ(running(scratch / "pid"), self);
}

TEST(process_id, a_recycled_pid_is_somebody_else) {
    Sleeper sleeper;
    auto process = identify(sleeper.pid());
    ASSERT_TRUE(process);
    process->start_ticks -= 1;
    EXPECT_FALSE(is_alive(*process));
    const auto sent = send_signal(*process, SIGKILL);
    ASSERT_TRUE(sent);
    EXPECT_FALSE(*sent);
    EXPECT_TRUE(identify(sleeper.pid())) << "it was not killed";
}

TEST(process_id, the_same_numbers_before_a_reboot_are_somebody_else) {
    const ScratchDirectory scratch;
    auto self = identify(::getpid());
    ASSERT_TRUE(self);
    self->boot_id = "00000000-0000-0000-0000-000000000000";
    ASSERT_TRUE(save(*self, scratch / "pid"));
    EXPECT_FALSE(running(scratch / "pid"));
}

TEST(process_id, a_zombie_is_dead) {
    Sleeper sleeper;
    const auto process = identify(sleeper.pid());
    ASSERT_TRUE(process);
    EXPECT_EQ(send_signal(*process, SIGKILL), true);
    for (int i = 0; i < 200 && is_alive(*process); ++i) ::usleep(10000);
    EXPECT_FALSE(is_alive(*process));
    sleeper.reap();
}

TEST(process_id, damaged_pid_files_name_nobody) {
    const ScratchDirectory scratch;
    for (const char* content : {"", "x", "-1 5 boot", "1", "999999999 1 boot"}) {
        ASSERT_TRUE(write_file(scratch / "pid", content));
        EXPECT_FALSE(running(scratch / "pid")) << content;
    }
    EXPECT_FALSE(running(scratch / "missing"));
}

TEST(running_postmaster, is_known_by_its_working_directory) {
    const ScratchDirectory scratch;
    std::filesystem::create_directories(scratch / "data");
    std::filesystem::create_directories(scratch / "other");
    Sleeper here((scratch / "data").c_str());
    for (int i = 0; i < 200 && !running_postmaster(scratch / "data"); ++i) {
        ASSERT_TRUE(
            write_file(scratch / "data/postmaster.pid", std::to_string(here.pid()) + "\n" + (scratch / "data") + "\n"));
        ::usleep(10000);
    }
    EXPECT_TRUE(running_postmaster(scratch / "data"));
    // A stale file that names a process with another directory: not ours.
    ASSERT_TRUE(write_file(scratch / "other/postmaster.pid", std::to_string(here.pid()) + "\n"));
    EXPECT_FALSE(running_postmaster(scratch / "other"));
}

}  // namespace pgkeel::local
