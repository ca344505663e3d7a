#include "guardian/page.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <thread>

namespace pgkeel::guardian {
namespace {

using namespace std::chrono_literals;

/// Orders whose every field follows from one number, so that a mixture of two shows.
Orders orders_number(std::uint64_t n) {
    return {.state = State::armed,
            .deadline = Instant(Duration(static_cast<Duration::rep>(n))),
            .ends_with_agent = n % 2 == 1,
            .postmaster = static_cast<pid_t>(n % 100000),
            .started = n,
            .device = n,
            .inode = n};
}

TEST(guardian_page, what_was_written_is_read_by_the_other_side) {
    auto page = Page::create();
    ASSERT_TRUE(page) << page.error().line();
    EXPECT_EQ(page->read(), Orders{});
    page->write(orders_number(77));
    auto other = Page::open(dup(page->descriptor()));
    ASSERT_TRUE(other) << other.error().line();
    EXPECT_EQ(other->read(), orders_number(77));
    other->tell({.alive_at = Instant(5s), .fenced = 2, .fenced_at = Instant(4s), .locked = true, .spared = true});
    EXPECT_EQ(page->told().alive_at, Instant(5s));
    EXPECT_EQ(page->told().fenced, 2U);
    EXPECT_EQ(page->told().fenced_at, Instant(4s));
    EXPECT_TRUE(page->told().locked);
    EXPECT_FALSE(page->told().realtime);
    EXPECT_TRUE(page->told().spared);
}

TEST(guardian_page, a_reader_sees_whole_orders_while_they_change) {
    auto page = Page::create();
    ASSERT_TRUE(page);
    page->write(orders_number(1));
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (std::uint64_t n = 2; !stop; ++n) page->write(orders_number(n));
    });
    std::uint64_t last = 0;
    for (int i = 0; i < 200000; ++i) {
        const Orders seen = page->read();
        EXPECT_EQ(seen, orders_number(seen.started));
        EXPECT_GE(seen.started, last);
        last = seen.started;
    }
    stop = true;
    writer.join();
}

TEST(guardian_page, a_writer_that_is_killed_while_it_writes_leaves_whole_orders) {
    for (int round = 0; round < 50; ++round) {
        auto page = Page::create();
        ASSERT_TRUE(page);
        page->write(orders_number(1));
        const pid_t writer = fork();
        if (writer == 0)
            for (std::uint64_t n = 2;; ++n) page->write(orders_number(n));
        usleep(static_cast<useconds_t>(500 + round * 17));
        kill(writer, SIGKILL);
        waitpid(writer, nullptr, 0);
        const Orders seen = page->read();
        EXPECT_EQ(seen, orders_number(seen.started));
    }
}

TEST(guardian_page, nobody_can_make_it_shorter) {
    auto page = Page::create();
    ASSERT_TRUE(page);
    EXPECT_NE(ftruncate(page->descriptor(), 0), 0);
    EXPECT_NE(fcntl(page->descriptor(), F_GETFD) & FD_CLOEXEC, 0) << "no program that the agent runs gets it";
}

TEST(guardian_page, another_file_is_refused) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    EXPECT_FALSE(Page::open(null));
    close(null);
    const int empty = memfd_create("empty", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(empty, 4096), 0);
    const auto opened = Page::open(empty);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::invalid_input);
    close(empty);
}

}  // namespace
}  // namespace pgkeel::guardian
