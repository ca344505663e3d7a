#include "agent/watchdog.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace pgkeel::agent {
namespace {

using namespace std::chrono_literals;

ClusterSettings settings_with(std::chrono::seconds ttl, std::chrono::seconds loop_wait) {
    ClusterSettings settings;
    settings.ttl = ttl;
    settings.loop_wait = loop_wait;
    return settings;
}

struct watchdog : testing::Test {
    watchdog() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pgkeel-watchdog-XXXXXX").string();
        directory = mkdtemp(pattern.data());
        options.mode = "required";
        options.driver = "testing";
        options.device = directory + "/watchdog";
        EXPECT_EQ(mkfifo(options.device.c_str(), 0600), 0);
        end = open(options.device.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ~watchdog() override {
        close(end);
        std::filesystem::remove_all(directory);
    }
    std::string said() const {
        std::array<char, 256> buffer{};
        const ssize_t bytes = read(end, buffer.data(), buffer.size());
        return bytes > 0 ? std::string(buffer.data(), static_cast<std::size_t>(bytes)) : std::string();
    }
    std::string directory;
    config::Watchdog options;
    int end = -1;
};

TEST_F(watchdog, counts_the_lease_less_the_margin_and_follows_a_changed_ttl) {
    Watchdog dog(options);
    dog.use(settings_with(21s, 10s));
    EXPECT_TRUE(dog.activate());
    EXPECT_EQ(said(), "Ctimeout=16\n1");
    dog.feed();
    EXPECT_EQ(said(), "1");
    dog.use(settings_with(20s, 10s));
    EXPECT_EQ(said(), "Ctimeout=15\n") << "and only a renewal feeds it";
    dog.use(settings_with(20s, 10s));
    EXPECT_EQ(said(), "");
    dog.disable();
    EXPECT_EQ(said(), "V");
    dog.disable();
    dog.feed();
    EXPECT_EQ(said(), "");
}

TEST_F(watchdog, a_margin_of_minus_one_is_half_of_the_lease) {
    options.safety_margin_seconds = -1;
    Watchdog dog(options);
    dog.use(settings_with(30s, 10s));
    EXPECT_TRUE(dog.activate());
    EXPECT_EQ(said(), "Ctimeout=15\n1");
}

TEST_F(watchdog, one_that_would_bite_before_the_loop_comes_round_is_not_started) {
    Watchdog dog(options);
    dog.use(settings_with(12s, 10s));
    const auto active = dog.activate();
    ASSERT_FALSE(active);
    EXPECT_EQ(active.error().code, Errc::unsafe);
    EXPECT_NE(dog.failed(), "");
    EXPECT_EQ(said(), "");
}

TEST_F(watchdog, a_required_one_that_is_missing_is_a_failure_and_an_automatic_one_is_not) {
    options.device = directory + "/none";
    Watchdog required(options);
    required.use(settings_with(30s, 10s));
    EXPECT_FALSE(required.activate());
    EXPECT_NE(required.failed().find(options.device), std::string::npos);
    options.mode = "automatic";
    Watchdog automatic(options);
    automatic.use(settings_with(30s, 10s));
    EXPECT_TRUE(automatic.activate());
    EXPECT_EQ(automatic.failed(), "");
}

TEST_F(watchdog, off_means_that_it_is_never_opened) {
    options.mode = "off";
    Watchdog dog(options);
    dog.use(settings_with(30s, 10s));
    EXPECT_TRUE(dog.activate());
    dog.feed();
    dog.disable();
    EXPECT_EQ(said(), "");
}

}  // namespace
}  // namespace pgkeel::agent
