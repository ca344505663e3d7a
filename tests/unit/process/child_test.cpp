#include "process/child.hpp"

#include "async/spawn.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <thread>

namespace pgkeel {
namespace {

using namespace std::chrono_literals;

struct child_process : testing::Test {
    Result<ExitStatus> run_now(Command command, Duration time = 20s, Cancel* cancel = nullptr) {
        return loop.run(run(loop.clock, std::move(command), loop.clock.now() + time, cancel));
    }
    Result<ExitStatus> shell(std::string script, Duration time = 20s) {
        return run_now({.arguments = {"sh", "-c", std::move(script)}, .environment = {}}, time);
    }
    test::EventLoop loop;
};

bool alive(pid_t pid) {
    return kill(pid, 0) == 0;
}

/// A process that nobody waits for stays as a zombie, which is dead too.
bool runs(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return false;
    return line.at(line.rfind(')') + 2) != 'Z';
}

TEST_F(child_process, output_errors_and_exit_code_are_kept_apart) {
    const auto status = shell("echo out; echo err >&2; exit 3");
    ASSERT_TRUE(status) << status.error().line();
    EXPECT_EQ(status->code, 3);
    EXPECT_EQ(status->output, "out\n");
    EXPECT_EQ(status->errors, "err\n");
}

TEST_F(child_process, death_by_a_signal_is_128_plus_its_number) {
    const auto status = shell("kill -9 $$");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code, 137);
}

TEST_F(child_process, what_is_not_there_cannot_be_started) {
    const auto missing = run_now({.arguments = {"no-such-program-anywhere"}, .environment = {}});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    const auto no_folder = run_now({.arguments = {"true"}, .environment = {}, .directory = "/no/such/folder"});
    ASSERT_FALSE(no_folder);
    EXPECT_EQ(no_folder.error().code, Errc::process_failed);
    EXPECT_TRUE(no_folder.error().text.contains("/no/such/folder")) << no_folder.error().text;
}

TEST_F(child_process, a_file_that_the_system_cannot_run_is_an_error_of_the_start) {
    const auto path = std::filesystem::temp_directory_path() / ("pgkeel-not-a-program-" + std::to_string(getpid()));
    std::ofstream(path) << "\x7f"
                           "ELF nonsense";
    chmod(path.c_str(), 0755);
    const auto status = run_now({.arguments = {path.string()}, .environment = {}});
    std::filesystem::remove(path);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::process_failed);
}

TEST_F(child_process, input_larger_than_a_pipe_reaches_the_program) {
    const std::string text(3'000'000, 'x');
    const auto status = run_now({.arguments = {"wc", "-c"}, .environment = {}, .input = text});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->output, "3000000\n");
}

TEST_F(child_process, a_program_that_ends_without_reading_its_input_is_no_error) {
    const auto status = run_now({.arguments = {"true"}, .environment = {}, .input = std::string(3'000'000, 'x')});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code, 0);
}

TEST_F(child_process, endless_output_is_cut_to_its_first_and_endless_errors_to_their_last_mebibyte) {
    const auto status = shell(
        "head -c 3000000 /dev/zero | tr '\\0' a; echo end; (head -c 3000000 /dev/zero | tr '\\0' b; echo end) >&2");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->output, std::string(1048576, 'a'));
    EXPECT_EQ(status->errors.size(), 1048576U);
    EXPECT_TRUE(status->errors.ends_with("bend\n"));
}

TEST_F(child_process, the_deadline_ends_the_whole_tree) {
    const auto file = std::filesystem::temp_directory_path() / ("pgkeel-tree-" + std::to_string(getpid()));
    const Instant begin = loop.clock.now();
    const auto status =
        shell("sh -c 'trap \"\" TERM; echo $$ > " + file.string() + "; while :; do sleep 0.05; done' & wait", 300ms);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::timed_out);
    EXPECT_LT(loop.clock.now() - begin, 4s);
    pid_t grandchild = 0;
    std::ifstream(file) >> grandchild;
    std::filesystem::remove(file);
    ASSERT_GT(grandchild, 0);
    for (int i = 0; i < 100 && runs(grandchild); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(runs(grandchild)) << "it ignored SIGTERM and must have been killed";
}

TEST_F(child_process, a_program_that_ignores_sigterm_is_killed_two_seconds_later) {
    const Instant begin = loop.clock.now();
    const auto status = shell("trap '' TERM; while :; do sleep 0.05; done", 100ms);
    const auto took = loop.clock.now() - begin;
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::timed_out);
    EXPECT_GE(took, 2s);
    EXPECT_LT(took, 4s);
}

TEST_F(child_process, cancel_ends_it_and_a_cancelled_one_does_not_start) {
    Cancel cancel;
    const auto alarm = loop.clock.call_at(loop.clock.now() + 100ms, [&] { cancel.request(); });
    const Instant begin = loop.clock.now();
    const auto status = run_now({.arguments = {"sleep", "30"}, .environment = {}}, 20s, &cancel);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::cancelled);
    EXPECT_LT(loop.clock.now() - begin, 2s);
    EXPECT_EQ(run_now({.arguments = {"true"}, .environment = {}}, 20s, &cancel).error().code, Errc::cancelled);
}

TEST_F(child_process, what_it_leaves_in_the_background_does_not_hold_us_up) {
    const Instant begin = loop.clock.now();
    const auto status = shell("echo started; sleep 5 &");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->output, "started\n");
    EXPECT_LT(loop.clock.now() - begin, 2s);
}

TEST_F(child_process, the_environment_is_inherited_added_to_and_filtered) {
    setenv("PGKEEL_TEST_KEPT", "kept", 1);
    setenv("SECRET_TEST_ONE", "no", 1);
    const auto status = run_now({.arguments = {"sh", "-c", "echo $PGKEEL_TEST_KEPT/$SECRET_TEST_ONE/$PGKEEL_TEST_NEW"},
                                 .environment = {{"PGKEEL_TEST_NEW", "new"}},
                                 .without_environment_prefixes = {"SECRET_"}});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->output, "kept//new\n");
}

TEST_F(child_process, signals_are_at_their_defaults_and_no_descriptor_leaks) {
    signal(SIGPIPE, SIG_IGN);
    const auto status = shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l");
    ASSERT_TRUE(status);
    // ls has its three and the directory it reads.
    EXPECT_EQ(status->output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n4\n");
}

TEST_F(child_process, it_runs_as_another_user_when_we_are_root) {
    if (getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    const auto status =
        run_now({.arguments = {"sh", "-c", "id -u; id -g; id -G"}, .environment = {}, .user = 65534, .group = 65534});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->output, "65534\n65534\n65534\n");
}

TEST_F(child_process, output_can_go_to_a_file_that_only_we_can_read) {
    const auto path = std::filesystem::temp_directory_path() / ("pgkeel-output-" + std::to_string(getpid()));
    std::filesystem::remove(path);
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(
            run_now({.arguments = {"sh", "-c", "echo out; echo err >&2"}, .environment = {}, .output_file = path}));
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    struct stat about{};
    ASSERT_EQ(stat(path.c_str(), &about), 0);
    std::filesystem::remove(path);
    EXPECT_EQ(text, "out\nerr\nout\nerr\n");
    EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(child_process, run_checked_says_what_the_program_said_last) {
    const auto status = loop.run(run_checked(
        loop.clock, {.arguments = {"sh", "-c", "echo first >&2; echo the disk is full >&2; exit 7"}, .environment = {}},
        loop.clock.now() + 20s));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::process_failed);
    EXPECT_EQ(status.error().text, "sh ended with exit code 7: the disk is full");
}

TEST_F(child_process, run_checked_quotes_the_error_and_not_the_tidying_up_after_it) {
    const auto status = loop.run(run_checked(
        loop.clock,
        {.arguments = {"sh", "-c", "echo 'initdb: error: no space left' >&2; echo 'initdb: removing it' >&2; exit 1"},
         .environment = {}},
        loop.clock.now() + 20s));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().text, "sh ended with exit code 1: initdb: error: no space left");
}

TEST_F(child_process, many_at_once_each_get_their_own_output) {
    std::vector<std::string> outputs(40);
    std::vector<Task<>> tasks;
    struct One {
        static Task<> go(Clock& clock, int number, std::string* to) {
            auto status =
                co_await run(clock, {.arguments = {"sh", "-c", "echo " + std::to_string(number)}, .environment = {}},
                             clock.now() + 20s);
            *to = status ? status->output : status.error().text;
        }
    };
    for (int i = 0; i < 40; ++i) tasks.push_back(One::go(loop.clock, i, &outputs[static_cast<std::size_t>(i)]));
    loop.run(all_of(std::move(tasks)));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(outputs[static_cast<std::size_t>(i)], std::to_string(i) + "\n");
}

TEST_F(child_process, a_detached_one_has_its_own_session_and_is_reaped) {
    const auto pid = start_detached({.arguments = {"sleep", "30"}, .environment = {}, .new_session = true});
    ASSERT_TRUE(pid) << pid.error().line();
    EXPECT_EQ(getsid(*pid), *pid);
    EXPECT_EQ(reap_orphans(), 0) << "it is not a stranger";
    EXPECT_TRUE(alive(*pid));
    kill(*pid, SIGKILL);
    for (int i = 0; i < 200 && alive(*pid); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(alive(*pid)) << "a zombie was left";
}

TEST_F(child_process, orphans_are_reaped_and_our_own_children_are_not) {
    ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    // The inner shell outlives the outer one, so it becomes ours when the outer one ends.
    const auto status = shell("sh -c 'sleep 0.2' & echo $!");
    ASSERT_TRUE(status);
    const pid_t orphan = std::stoi(status->output);
    const auto ours = start_detached({.arguments = {"sleep", "30"}, .environment = {}});
    ASSERT_TRUE(ours);
    int reaped = 0;
    for (int i = 0; i < 300 && reaped == 0; ++i) {
        std::this_thread::sleep_for(10ms);
        reaped = reap_orphans();
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    EXPECT_EQ(reaped, 1);
    EXPECT_FALSE(alive(orphan));
    EXPECT_TRUE(alive(*ours));
    kill(*ours, SIGKILL);
}

}  // namespace
}  // namespace pgkeel
