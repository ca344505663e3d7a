#include "log/log.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

namespace pgkeel::log {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<std::string> lines_of(const fs::path& path) {
    std::vector<std::string> out;
    std::istringstream in(read(path));
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
}

class LogFiles : public testing::Test {
  protected:
    LogFiles() {
        char name[] = "/tmp/pgkeel-log-XXXXXX";
        directory_ = mkdtemp(name);
    }
    ~LogFiles() override {
        EXPECT_TRUE(configure(Options{}));
        EXPECT_TRUE(flush());
        fs::remove_all(directory_);
    }
    Options options() const {
        Options out;
        out.format = "%(levelname)s %(message)s";
        out.directory = directory_.string();
        return out;
    }
    fs::path file() const { return directory_ / "patroni.log"; }

    fs::path directory_;
};

TEST_F(LogFiles, a_line_is_on_disk_after_flush) {
    ASSERT_TRUE(configure(options()));
    info("node {} is {}", "pg-a", 1);
    ASSERT_TRUE(flush());
    EXPECT_EQ(read(file()), "INFO node pg-a is 1\n");
}

TEST_F(LogFiles, the_level_decides_what_is_written) {
    Options quiet = options();
    quiet.level = Level::warning;
    ASSERT_TRUE(configure(quiet));
    EXPECT_FALSE(enabled(Level::info));
    debug("one");
    info("two");
    warning("three");
    critical("four");
    ASSERT_TRUE(flush());
    EXPECT_EQ(read(file()), "WARNING three\nCRITICAL four\n");
}

TEST_F(LogFiles, a_line_knows_where_it_was_written) {
    Options where = options();
    where.format = "%(filename)s:%(lineno)d %(funcName)s %(message)s";
    ASSERT_TRUE(configure(where));
    const int line = __LINE__ + 1;
    info("here");
    ASSERT_TRUE(flush());
    EXPECT_EQ(read(file()), fmt::format("log_test.cpp:{} TestBody here\n", line));
}

TEST_F(LogFiles, files_rotate_under_pythons_names) {
    Options small = options();
    small.format = "%(message)s";
    small.file_size_bytes = 25;
    small.file_count = 2;
    ASSERT_TRUE(configure(small));
    for (int i = 0; i < 9; ++i) info("line number {}", i);  // 14 bytes each
    ASSERT_TRUE(flush());
    EXPECT_EQ(read(file()), "line number 8\n");
    EXPECT_EQ(read(directory_ / "patroni.log.1"), "line number 7\n");
    EXPECT_EQ(read(directory_ / "patroni.log.2"), "line number 6\n");
    EXPECT_FALSE(fs::exists(directory_ / "patroni.log.3"));
}

TEST_F(LogFiles, the_file_has_the_mode_asked_for_whatever_the_umask_says) {
    const mode_t before = umask(077);
    Options open = options();
    open.file_mode = 0640;
    EXPECT_TRUE(configure(open));
    umask(before);
    struct stat status{};
    ASSERT_EQ(stat(file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST_F(LogFiles, lines_of_many_threads_do_not_mix) {
    ASSERT_TRUE(configure(options()));
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([t] {
            for (int i = 0; i < 100; ++i) info("{} {} {}", t, i, std::string(300, 'x'));
        });
    threads.clear();
    ASSERT_TRUE(flush());
    std::set<std::string> seen;
    const std::regex whole("INFO [0-3] [0-9]+ x{300}");
    for (const std::string& line : lines_of(file())) {
        EXPECT_TRUE(std::regex_match(line, whole)) << line;
        seen.insert(line);
    }
    EXPECT_EQ(seen.size(), 400U);
}

TEST_F(LogFiles, options_change_while_others_log) {
    ASSERT_TRUE(configure(options()));
    {
        std::jthread writer([] {
            for (int i = 0; i < 300; ++i) info("{}", i);
        });
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(configure(options()));
    }
    ASSERT_TRUE(flush());
    const auto lines = lines_of(file());
    ASSERT_EQ(lines.size(), 300U);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)], fmt::format("INFO {}", i));
}

TEST_F(LogFiles, a_wrong_option_changes_nothing) {
    ASSERT_TRUE(configure(options()));
    Options wrong = options();
    wrong.format = "%(nothing)s";
    EXPECT_EQ(configure(wrong).error().code, Errc::invalid_input);
    Options nowhere = options();
    nowhere.directory = "/nonexistent/pgkeel";
    const auto result = configure(nowhere);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::io_error);
    EXPECT_NE(result.error().text.find("/nonexistent/pgkeel"), std::string::npos);
    info("still here");
    ASSERT_TRUE(flush());
    EXPECT_EQ(read(file()), "INFO still here\n");
}

TEST_F(LogFiles, a_stopped_reader_of_stderr_does_not_stop_the_writer) {
    int pipe_ends[2];
    ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    const int real_stderr = dup(STDERR_FILENO);
    ASSERT_TRUE(flush());
    ASSERT_GE(dup2(pipe_ends[1], STDERR_FILENO), 0);
    Options to_stderr;
    to_stderr.format = "%(message)s";
    ASSERT_TRUE(configure(to_stderr));

    info("the first line");
    ASSERT_TRUE(flush());
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 3000; ++i) info("{:0>200}", i);  // 600 kB into a pipe of 64 kB
    const auto taken = std::chrono::steady_clock::now() - begin;
    EXPECT_FALSE(flush(std::chrono::milliseconds(50)));

    std::string got;
    std::thread reader([&] {
        char buffer[65536];
        for (ssize_t n = 0; (n = ::read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
            got.append(buffer, static_cast<std::size_t>(n));
    });
    const bool drained = flush(std::chrono::seconds(10));
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[1]);
    reader.join();
    close(pipe_ends[0]);
    EXPECT_TRUE(drained);
    EXPECT_LT(taken, std::chrono::seconds(2));
    EXPECT_NE(got.find("log lines were lost"), std::string::npos);
    EXPECT_TRUE(got.starts_with("the first line\n"));
    EXPECT_NE(got.find(fmt::format("{:0>200}\n", 2999)), std::string::npos);
}

TEST_F(LogFiles, a_forked_child_logs_too) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
#endif
    ASSERT_TRUE(configure(options()));
    info("parent");
    ASSERT_TRUE(flush());
    const pid_t child = fork();
    if (child == 0) {
        info("child");
        _exit(flush() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(read(file()), "INFO parent\nINFO child\n");
}

}  // namespace
}  // namespace pgkeel::log
