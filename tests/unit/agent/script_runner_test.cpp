#include "agent/script_runner.hpp"

#include "support/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace pgkeel::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// Scripts in a directory of the test's own. Each appends its words to `log`.
class Callbacks : public testing::Test {
  protected:
    Callbacks() {
        std::string pattern = (fs::temp_directory_path() / "pgkeel-scripts-XXXXXX").string();
        directory = mkdtemp(pattern.data());
        config.scope = "demo";
    }
    ~Callbacks() override {
        // A program that is still watched when the loop goes would be watched by nobody.
        if (runner_) loop.run(runner_->finish(loop.clock.now() + 10s));
        loop.until([] { return false; }, 10ms);
        fs::remove_all(directory);
    }
    ScriptRunner& start() {
        runner_ = std::make_unique<ScriptRunner>(loop.context.get_executor(), loop.clock, config);
        return *runner_;
    }

    /// A shell script; $LOG is the log. Its path.
    std::string script(const std::string& name, const std::string& body) {
        const fs::path path = directory / name;
        std::ofstream(path) << "#!/bin/sh\nLOG='" << (directory / "log").string() << "'\n" << body << "\n";
        chmod(path.c_str(), 0700);
        return path.string();
    }
    std::string log() const {
        std::ifstream file(directory / "log");
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    bool logged(const std::string& text, Duration within) {
        return loop.until([&] { return log() == text; }, within);
    }

    test::EventLoop loop;
    fs::path directory;
    config::AgentConfig config;

  private:
    std::unique_ptr<ScriptRunner> runner_;
};

TEST_F(Callbacks, get_action_role_and_scope_after_their_own_words) {
    const std::string path = script("note", R"(echo "$@" >>"$LOG")");
    config.postgresql.callbacks.on_role_change = path + " 'two words' \"x\"y";
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);  // not configured
    runner.call(Callback::on_role_change, Role::primary);
    EXPECT_TRUE(logged("two words xy on_role_change primary demo\n", 5s)) << log();
}

TEST_F(Callbacks, come_one_after_the_other_and_none_is_lost) {
    const std::string path = script("note", R"(sleep 0.05; echo "$1 $2" >>"$LOG")");
    config.postgresql.callbacks = {path, path, path, path, path};
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);
    runner.call(Callback::on_role_change, Role::primary);
    runner.call(Callback::on_restart, Role::primary);
    runner.call(Callback::on_stop, Role::demoted);
    EXPECT_TRUE(logged("on_start replica\non_role_change primary\non_restart primary\non_stop demoted\n", 5s)) << log();
}

TEST_F(Callbacks, one_that_hangs_is_killed_with_its_children_by_the_next) {
    const std::string hang = script("hang", "sleep 600 &\necho $! >>\"$LOG\"\nwait");
    const std::string note = script("note", R"(echo "$1" >>"$LOG")");
    config.postgresql.callbacks.on_start = hang;
    config.postgresql.callbacks.on_role_change = note;
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);
    ASSERT_TRUE(loop.until([&] { return log().ends_with('\n'); }, 5s));
    const int child = std::stoi(log());
    ASSERT_EQ(kill(child, 0), 0);
    runner.call(Callback::on_role_change, Role::primary);
    EXPECT_TRUE(logged(fmt::format("{}\non_role_change\n", child), 5s)) << log();
    // Nobody of ours waits for it, so it may be left as a zombie of pid 1 for a while.
    EXPECT_TRUE(loop.until(
        [&] {
            std::ifstream stat(fmt::format("/proc/{}/stat", child));
            std::string pid, name, state;
            stat >> pid >> name >> state;
            return !stat || state == "Z";
        },
        3s));
}

TEST_F(Callbacks, a_reload_disturbs_no_other_and_is_not_disturbed) {
    const std::string slow = script("slow", R"(sleep 0.8; echo "$1" >>"$LOG")");
    const std::string quick = script("quick", R"(echo "$1" >>"$LOG")");
    config.postgresql.callbacks.on_reload = slow;
    config.postgresql.callbacks.on_restart = quick;
    ScriptRunner& runner = start();
    runner.call(Callback::on_reload, Role::primary);
    runner.call(Callback::on_restart, Role::primary);
    EXPECT_TRUE(logged("on_restart\non_reload\n", 5s)) << log();
}

TEST_F(Callbacks, do_not_see_secrets_or_the_service_manager) {
    setenv("PATRONI_SUPERUSER_PASSWORD", "secret", 1);
    setenv("NOTIFY_SOCKET", "/run/x", 1);
    config.postgresql.callbacks.on_start =
        script("env", R"(echo "${PATRONI_SUPERUSER_PASSWORD:-none} ${NOTIFY_SOCKET:-none} ${PATH:+path}" >>"$LOG")");
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);
    EXPECT_TRUE(logged("none none path\n", 5s)) << log();
    unsetenv("PATRONI_SUPERUSER_PASSWORD");
    unsetenv("NOTIFY_SOCKET");
}

TEST_F(Callbacks, that_cannot_be_run_hold_up_nobody) {
    config.postgresql.callbacks.on_start = "/nowhere/at/all";
    config.postgresql.callbacks.on_stop = "'open quote";
    config.postgresql.callbacks.on_restart = script("note", R"(echo "$1" >>"$LOG")");
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);
    runner.call(Callback::on_stop, Role::replica);
    runner.call(Callback::on_restart, Role::replica);
    EXPECT_TRUE(logged("on_restart\n", 5s)) << log();
}

TEST_F(Callbacks, are_waited_for_at_the_end) {
    config.postgresql.callbacks.on_stop = script("stop", R"(sleep 0.3; echo "$1" >>"$LOG")");
    ScriptRunner& runner = start();
    runner.call(Callback::on_stop, Role::replica);
    loop.run(runner.finish(loop.clock.now() + 5s));
    EXPECT_EQ(log(), "on_stop\n");
}

TEST_F(Callbacks, relative_commands_are_found_from_the_directory_of_the_start) {
    script("note", R"(echo "$1" >>"$LOG")");
    const fs::path before = fs::current_path();
    fs::current_path(directory);
    config.postgresql.callbacks.on_start = "./note";
    ScriptRunner& runner = start();
    runner.call(Callback::on_start, Role::replica);
    EXPECT_TRUE(logged("on_start\n", 5s)) << log();
    fs::current_path(before);
}

TEST_F(Callbacks, pre_promote_may_forbid) {
    ScriptRunner& none = start();
    EXPECT_TRUE(loop.run(none.pre_promote()));
    config.postgresql.pre_promote = script("yes", "exit 0") + " a b";
    none.use(config);
    EXPECT_TRUE(loop.run(none.pre_promote()));
    config.postgresql.pre_promote = script("no", "echo 'the disk is slow' >&2; exit 3");
    none.use(config);
    const auto forbidden = loop.run(none.pre_promote());
    ASSERT_FALSE(forbidden);
    EXPECT_EQ(forbidden.error().code, Errc::process_failed);
    EXPECT_NE(forbidden.error().text.find("the disk is slow"), std::string::npos);
    config.postgresql.pre_promote = "/nowhere/at/all";
    none.use(config);
    EXPECT_FALSE(loop.run(none.pre_promote()));
}

TEST_F(Callbacks, the_fence_command_is_told_whom_it_is_about) {
    config.name = "pg-b";
    config.fence_command = script("off", R"(echo "$@" "$PGKEEL_SCOPE" "$PGKEEL_NODE" >>"$LOG")") + " -f";
    ScriptRunner& runner = start();
    EXPECT_TRUE(runner.can_fence());
    EXPECT_TRUE(loop.run(runner.fence("pg-a", "10.0.0.1")));
    EXPECT_EQ(log(), "-f pg-a 10.0.0.1 demo pg-b\n");
}

TEST_F(Callbacks, a_fence_command_that_fails_or_hangs_has_fenced_nobody) {
    config.fence_command = script("off", "echo no power switch >&2; exit 1");
    ScriptRunner& runner = start();
    const auto failed = loop.run(runner.fence("pg-a", ""));
    ASSERT_FALSE(failed);
    EXPECT_TRUE(failed.error().text.contains("no power switch")) << failed.error().text;
    config.fence_command = script("hang", "exec sleep 30");
    config.fence_timeout_seconds = 1;
    runner.use(config);
    const auto late = loop.run(runner.fence("pg-a", ""));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timed_out);
}

}  // namespace
}  // namespace pgkeel::agent
