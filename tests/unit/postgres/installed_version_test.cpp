#include "postgres/installed_version.hpp"

#include "async/workers.hpp"
#include "support/event_loop.hpp"
#include "unit/postgres/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::postgres {
namespace {

TEST(installed_version, is_read_from_what_the_program_says_of_itself) {
    EXPECT_EQ(parse_program_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), 150018);
    EXPECT_EQ(parse_program_version("postgres (PostgreSQL) 15.0"), 150000);
    EXPECT_EQ(parse_program_version("postgres (PostgreSQL) 16beta1"), 160000);
    EXPECT_EQ(parse_program_version("postgres (PostgreSQL) 18devel"), 180000);
    for (const char* other : {"", "postgres", "postgres (PostgreSQL) ", "postgres (PostgreSQL) x.1",
                              "postgres (PostgreSQL) 9.6.3", "postgres (PostgreSQL) 99999999999.1"})
        EXPECT_EQ(parse_program_version(other), 0) << other;
}

/// Programs of PostgreSQL that another package replaces now and then.
class InstalledVersionTest : public testing::Test {
  protected:
    InstalledVersionTest() { agent.postgresql.bin_dir = directory.path; }
    /// As dpkg does it: the new file takes the name of the old one.
    void install(const std::string& says) {
        const std::string path = directory / "postgres";
        put(path + ".new", "#!/bin/sh\necho x >>" + (directory / "asked") + "\n" + says + "\n");
        std::filesystem::permissions(path + ".new", std::filesystem::perms::owner_all);
        std::filesystem::rename(path + ".new", path);
    }
    int look() { return loop.run(installed.look(loop.clock.now() + std::chrono::seconds(10))); }
    long times_asked() const { return std::ranges::count(text_of(directory / "asked"), 'x'); }

    TemporaryDirectory directory;
    test::EventLoop loop;
    Workers workers{1};
    config::AgentConfig agent;
    Programs programs{loop.clock, workers, agent, {}};
    InstalledVersion installed{programs};
};

TEST_F(InstalledVersionTest, is_asked_for_again_when_the_program_is_another_one) {
    EXPECT_EQ(look(), 0) << "nothing is installed";
    install("echo 'postgres (PostgreSQL) 15.18'");
    EXPECT_EQ(look(), 150018);
    EXPECT_EQ(look(), 150018);
    EXPECT_EQ(times_asked(), 1);
    install("echo 'postgres (PostgreSQL) 15.19'");
    EXPECT_EQ(look(), 150019);
    EXPECT_EQ(times_asked(), 2);
    install("exit 1");
    EXPECT_EQ(look(), 0);
    std::filesystem::remove(directory / "postgres");
    EXPECT_EQ(look(), 0);
}

}  // namespace
}  // namespace pgkeel::postgres
