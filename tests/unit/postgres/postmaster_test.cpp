#include "postgres/postmaster.hpp"

#include "process/child.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <thread>

namespace pgkeel::postgres {
namespace {

using namespace std::chrono_literals;

TEST(postmaster_file, every_line_is_read) {
    const auto file = parse_postmaster_file(
        "14062\n/data/p\n1795230433\n54999\n/run/postgresql\nlocalhost\n 10953012         9\nready   \n");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->pid, 14062);
    EXPECT_FALSE(file->standalone);
    EXPECT_EQ(file->data_directory, "/data/p");
    EXPECT_EQ(file->start_time, 1795230433);
    EXPECT_EQ(file->port, "54999");
    EXPECT_EQ(file->socket_directory, "/run/postgresql");
    EXPECT_EQ(file->listen_address, "localhost");
    EXPECT_EQ(file->status, "ready");
}

TEST(postmaster_file, one_that_is_still_being_written_has_what_it_has) {
    const auto file = parse_postmaster_file("77\n/data/p\n1795230433\n5432\n");
    ASSERT_TRUE(file);
    EXPECT_EQ(file->pid, 77);
    EXPECT_EQ(file->status, "");
}

TEST(postmaster_file, a_single_user_server_has_a_negative_pid) {
    const auto file = parse_postmaster_file("-77\n/data/p\n");
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->standalone);
    EXPECT_EQ(file->pid, 77);
}

TEST(postmaster_file, nonsense_names_no_process) {
    for (const char* text : {"", "\n", "0\n/data\n", "x\n/data\n", "12", "12\n\n", "99999999999999999999\n/data\n"})
        EXPECT_FALSE(parse_postmaster_file(text)) << text;
}

/// A process that calls itself postgres and works in `directory`, as the kernel sees it: a copy of a shell by that
/// name.
class Pretender {
  public:
    explicit Pretender(const std::string& directory, const std::string& script = "while :; do sleep 0.05; done",
                       const std::string& program = "postgres") {
        const std::string path = directory + "/" + program;
        std::filesystem::copy_file("/bin/sh", path, std::filesystem::copy_options::skip_existing);
        const auto started = start_detached(
            {.arguments = {path, "-c", script}, .environment = {}, .directory = directory, .new_session = true});
        pid = started ? *started : 0;
    }
    ~Pretender() {
        if (pid > 0 && kill(pid, 0) == 0) kill(-pid, SIGKILL);
    }
    Pretender(const Pretender&) = delete;
    Pretender& operator=(const Pretender&) = delete;
    pid_t pid = 0;
};

struct postmaster : testing::Test {
    postmaster() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pgkeel-postmaster-XXXXXX").string();
        directory = mkdtemp(pattern.data());
    }
    ~postmaster() override { std::filesystem::remove_all(directory); }
    void write_file(pid_t pid) const {
        std::ofstream(directory + "/postmaster.pid") << pid << "\n" << directory << "\n1\n5432\n";
    }
    std::string directory;
};

TEST_F(postmaster, a_pid_file_is_believed_only_if_its_process_is_a_server_of_this_directory) {
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::absent);
    const Pretender real(directory);
    ASSERT_GT(real.pid, 0);
    write_file(real.pid);
    const auto found = find_postmaster(directory);
    EXPECT_EQ(found.state, Postmaster::running);
    EXPECT_EQ(found.pid, real.pid);
    EXPECT_FALSE(found.stopped);
    EXPECT_EQ(found.file.port, "5432");

    write_file(getpid());
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::remains)
        << "the file names this test, and a server process is here";
    std::filesystem::create_directory(directory + "/other");
    EXPECT_EQ(find_postmaster(directory + "/other").state, Postmaster::absent) << "it is not of that directory";
}

TEST_F(postmaster, another_program_in_the_directory_is_no_server) {
    const Pretender shell(directory, "while :; do sleep 0.05; done", "looks-around");
    ASSERT_GT(shell.pid, 0);
    write_file(shell.pid);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::absent);
}

TEST_F(postmaster, a_stopped_one_runs_and_says_so) {
    const Pretender server(directory);
    write_file(server.pid);
    kill(server.pid, SIGSTOP);
    for (int i = 0; i < 100 && !find_postmaster(directory).stopped; ++i) std::this_thread::sleep_for(5ms);
    EXPECT_TRUE(find_postmaster(directory).stopped);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::running);
}

TEST_F(postmaster, a_zombie_is_dead) {
    std::filesystem::copy_file("/bin/sh", directory + "/postgres");
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(directory.c_str()) == 0)
            execl((directory + "/postgres").c_str(), "postgres", "-c", "while :; do sleep 0.05; done", nullptr);
        _exit(1);
    }
    write_file(child);
    for (int i = 0; i < 100 && find_postmaster(directory).state != Postmaster::running; ++i)
        std::this_thread::sleep_for(5ms);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::running);
    kill(child, SIGKILL);
    siginfo_t about{};
    waitid(P_PID, static_cast<id_t>(child), &about, WEXITED | WNOWAIT);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::absent);
    EXPECT_TRUE(server_processes(ServerPlace(directory)).empty());
    waitpid(child, nullptr, 0);
}

TEST_F(postmaster, killing_leaves_nothing_also_of_what_was_orphaned) {
    // A server with two children of their own sessions, one of which runs a command, as the archiver does. Each says
    // when it has become what it shall be.
    const std::string me = directory + "/postgres";
    const Pretender server(directory, "setsid " + me +
                                          " -c 'echo $$ >backend.pid; while :; do sleep 0.05; done' & setsid " + me +
                                          " -c 'sh -c \"echo \\$\\$ >command.pid; exec sleep 60\" & wait' & " +
                                          "while :; do sleep 0.05; done");
    write_file(server.pid);
    const auto written = [&](const char* file) {
        pid_t pid = 0;
        for (int i = 0; i < 400 && pid == 0; ++i) {
            std::ifstream(directory + "/" + file) >> pid;
            std::this_thread::sleep_for(5ms);
        }
        return pid;
    };
    ASSERT_GT(written("backend.pid"), 0);
    const pid_t command = written("command.pid");
    ASSERT_GT(command, 0);
    ASSERT_EQ(server_processes(ServerPlace(directory)).size(), 3U);
    kill(server.pid, SIGKILL);
    for (int i = 0; i < 200 && find_postmaster(directory).state == Postmaster::running; ++i)
        std::this_thread::sleep_for(5ms);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::remains);
    int passes = 0;
    while (kill_pass(ServerPlace(directory)) != 0 && ++passes < 200) std::this_thread::sleep_for(5ms);
    EXPECT_LT(passes, 200);
    EXPECT_EQ(find_postmaster(directory).state, Postmaster::absent);
    EXPECT_EQ(kill(command, SIGKILL), 0)
        << "half a file in the archive is worse than a command that outlives its server";
}

TEST_F(postmaster, one_that_has_not_entered_its_directory_is_killed_when_we_know_it) {
    const std::string elsewhere = directory + "/elsewhere";
    std::filesystem::create_directory(elsewhere);
    const Pretender server(elsewhere);
    const auto identity = process_identity(server.pid);
    ASSERT_TRUE(identity);
    EXPECT_EQ(kill_pass(ServerPlace(directory)), 0U) << "nobody told of it";
    ServerProcess reused = *identity;
    reused.started -= 1;
    EXPECT_EQ(kill_pass(ServerPlace(directory), reused), 0U) << "another process has that number";
    EXPECT_EQ(kill_pass(ServerPlace(directory), *identity), 1U);
    for (int i = 0; i < 200 && process_identity(server.pid); ++i) std::this_thread::sleep_for(5ms);
    EXPECT_FALSE(process_identity(server.pid));
}

TEST_F(postmaster, the_end_of_a_process_that_is_not_our_child_is_heard) {
    test::EventLoop loop;
    int ends = 0;
    const Pretender server(directory);
    const auto watch = ExitWatch::begin(loop.context.get_executor(), server.pid, [&] { ++ends; });
    ASSERT_TRUE(watch);
    EXPECT_FALSE(loop.until([&] { return ends != 0; }, 100ms));
    kill(server.pid, SIGKILL);
    EXPECT_TRUE(loop.until([&] { return ends != 0; }, 2s));
    EXPECT_FALSE(loop.until([&] { return ends > 1; }, 100ms)) << "once is enough";
}

TEST_F(postmaster, a_watch_that_is_dropped_says_nothing) {
    test::EventLoop loop;
    int ends = 0;
    const Pretender server(directory);
    auto watch = ExitWatch::begin(loop.context.get_executor(), server.pid, [&] { ++ends; });
    watch.reset();
    kill(server.pid, SIGKILL);
    EXPECT_FALSE(loop.until([&] { return ends != 0; }, 200ms));
}

}  // namespace
}  // namespace pgkeel::postgres
