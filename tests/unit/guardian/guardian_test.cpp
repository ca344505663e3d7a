#include "guardian/guardian.hpp"

#include "process/child.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <filesystem>
#include <fstream>
#include <thread>

namespace pgkeel::guardian {
namespace {

using namespace std::chrono_literals;

/// A process that calls itself postgres and works in `directory`: a copy of a shell by that name.
pid_t start_pretender(const std::string& directory) {
    const std::string path = directory + "/postgres";
    std::filesystem::copy_file("/bin/sh", path, std::filesystem::copy_options::skip_existing);
    const auto started = start_detached({.arguments = {path, "-c", "while :; do sleep 0.05; done"},
                                         .environment = {},
                                         .directory = directory,
                                         .new_session = true});
    return started ? *started : 0;
}

bool lives(pid_t pid) {
    return postgres::process_identity(pid).has_value();
}

bool soon(const std::function<bool()>& condition, Duration patience = 2s) {
    for (const Instant end = Boottime::now() + patience; Boottime::now() < end;) {
        if (condition()) return true;
        std::this_thread::sleep_for(1ms);
    }
    return condition();
}

struct guardian_process : testing::Test {
    guardian_process() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pgkeel-guardian-XXXXXX").string();
        directory = mkdtemp(pattern.data());
        server = start_pretender(directory);
        std::ofstream(directory + "/postmaster.pid") << server << "\n" << directory << "\n1\n5432\n";
        auto made = Page::create();
        page = std::make_unique<Page>(std::move(made.value()));
    }
    ~guardian_process() override {
        for (const pid_t pid : {server, guard})
            if (pid > 0 && lives(pid)) kill(pid, SIGKILL);
        if (guard > 0) waitpid(guard, nullptr, 0);
        std::filesystem::remove_all(directory);
    }
    Orders orders_for(pid_t postmaster, Instant deadline) const {
        const postgres::ServerPlace place(directory);
        const auto identity = postgres::process_identity(postmaster);
        return {.state = State::armed,
                .deadline = deadline,
                .postmaster = postmaster,
                .started = identity ? identity->started : 0,
                .device = place.device(),
                .inode = place.inode()};
    }
    /// As its agent starts it, with the page as its standard input.
    void start_guardian(pid_t agent) {
        const auto identity = postgres::process_identity(agent);
        ASSERT_TRUE(identity);
        guard = fork();
        if (guard == 0) {
            dup2(page->descriptor(), STDIN_FILENO);
            _exit(run(directory, agent, identity->started));
        }
        ASSERT_TRUE(soon([&] { return page->told().alive_at != Instant{}; }));
    }
    bool guardian_left() {
        int status = 0;
        if (!soon([&] { return waitpid(guard, &status, WNOHANG) == guard; })) return false;
        guard = 0;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

    std::string directory;
    pid_t server = 0;
    pid_t guard = 0;
    std::unique_ptr<Page> page;
};

TEST_F(guardian_process, kills_at_the_deadline_and_not_before) {
    const Instant deadline = Boottime::now() + 400ms;
    page->write(orders_for(server, deadline));
    start_guardian(getpid());
    EXPECT_TRUE(soon([&] { return !lives(server); }));
    EXPECT_GE(Boottime::now(), deadline);
    EXPECT_LT(Boottime::now(), deadline + 1s);
    EXPECT_TRUE(soon([&] { return page->told().fenced == 1; })) << "and tells its agent of it";
}

TEST_F(guardian_process, follows_a_deadline_that_moves_and_is_called_off) {
    page->write(orders_for(server, Boottime::now() + 300ms));
    start_guardian(getpid());
    for (int renewal = 0; renewal < 6; ++renewal) {
        std::this_thread::sleep_for(100ms);
        page->write(orders_for(server, Boottime::now() + 300ms));
    }
    EXPECT_TRUE(lives(server));
    page->write({.state = State::disarmed});
    std::this_thread::sleep_for(500ms);
    EXPECT_TRUE(lives(server));
}

TEST_F(guardian_process, outlives_its_agent_while_it_is_armed_and_leaves_after_that) {
    const pid_t agent = start_pretender(std::filesystem::temp_directory_path().string());
    page->write(orders_for(server, Boottime::now() + 500ms));
    start_guardian(agent);
    kill(agent, SIGKILL);
    std::this_thread::sleep_for(200ms);
    EXPECT_TRUE(lives(server)) << "the lease is not over";
    EXPECT_TRUE(soon([&] { return !lives(server); }));
    EXPECT_TRUE(guardian_left());
}

TEST_F(guardian_process, leaves_with_its_agent_when_there_is_nothing_to_guard) {
    const pid_t agent = start_pretender(std::filesystem::temp_directory_path().string());
    page->write({.state = State::paused});
    start_guardian(agent);
    kill(agent, SIGKILL);
    EXPECT_TRUE(guardian_left());
    EXPECT_TRUE(lives(server)) << "a paused cluster's server goes on";
}

TEST_F(guardian_process, ends_the_server_of_an_unfinished_bootstrap_with_the_agent) {
    const pid_t agent = start_pretender(std::filesystem::temp_directory_path().string());
    Orders orders = orders_for(0, Instant::max());
    orders.ends_with_agent = true;
    page->write(orders);
    start_guardian(agent);
    std::this_thread::sleep_for(200ms);
    EXPECT_TRUE(lives(server));
    kill(agent, SIGKILL);
    EXPECT_TRUE(soon([&] { return !lives(server); }));
}

TEST_F(guardian_process, a_server_that_somebody_else_has_started_is_left_alone) {
    Orders orders = orders_for(server, Instant{});
    orders.started -= 1;
    EXPECT_EQ(fence_pass(directory, orders), 0U) << "another process has that number";
    EXPECT_TRUE(lives(server));
    EXPECT_GE(fence_pass(directory, orders_for(server, Instant{})), 1U);
}

TEST_F(guardian_process, the_server_is_found_when_its_directory_was_renamed_and_that_of_the_new_one_is_not_touched) {
    const Orders orders = orders_for(server, Instant{});
    const std::string moved = directory + ".old";
    std::filesystem::rename(directory, moved);
    std::filesystem::create_directory(directory);
    const pid_t other = start_pretender(directory);
    EXPECT_GE(fence_pass(directory, orders), 1U);
    EXPECT_TRUE(soon([&] { return !lives(server); }));
    EXPECT_TRUE(lives(other));
    kill(other, SIGKILL);
    std::filesystem::remove_all(moved);
}

}  // namespace
}  // namespace pgkeel::guardian
