#include "guardian/watchdog_device.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace pgkeel::guardian {
namespace {

/// The other end of a watchdog that is a FIFO.
struct watchdog_device : testing::Test {
    watchdog_device() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pgkeel-watchdog-XXXXXX").string();
        directory = mkdtemp(pattern.data());
        path = directory + "/watchdog";
        EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
        end = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ~watchdog_device() override {
        close(end);
        std::filesystem::remove_all(directory);
    }
    std::string said() const {
        std::array<char, 256> buffer{};
        const ssize_t bytes = read(end, buffer.data(), buffer.size());
        return bytes > 0 ? std::string(buffer.data(), static_cast<std::size_t>(bytes)) : std::string();
    }
    std::string directory, path;
    int end = -1;
};

TEST_F(watchdog_device, speaks_the_testing_protocol) {
    auto device = WatchdogDevice::open(path, WatchdogDevice::Driver::testing);
    ASSERT_TRUE(device) << device.error().line();
    EXPECT_EQ((*device)->set_timeout(25), 25);
    EXPECT_EQ(said(), "Ctimeout=25\n");
    EXPECT_TRUE((*device)->feed());
    EXPECT_EQ(said(), "1");
    EXPECT_TRUE((*device)->can_be_disabled());
    EXPECT_TRUE((*device)->disable());
    EXPECT_EQ(said(), "V");
}

TEST_F(watchdog_device, one_that_is_dropped_is_not_disabled) {
    {
        auto device = WatchdogDevice::open(path, WatchdogDevice::Driver::testing);
        ASSERT_TRUE(device);
        EXPECT_TRUE((*device)->feed());
    }
    EXPECT_EQ(said(), "1") << "no magic close: the kernel's would bite";
}

TEST_F(watchdog_device, a_file_that_is_no_watchdog_is_refused_when_it_is_asked_for_its_timeout) {
    auto device = WatchdogDevice::open(path, WatchdogDevice::Driver::kernel);
    ASSERT_TRUE(device);
    const auto timeout = (*device)->set_timeout(10);
    ASSERT_FALSE(timeout);
    EXPECT_EQ(timeout.error().code, Errc::io_error);
    EXPECT_FALSE((*device)->feed());
}

TEST_F(watchdog_device, one_that_is_not_there_is_said_by_name) {
    const auto device = WatchdogDevice::open(directory + "/none", WatchdogDevice::Driver::kernel);
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, Errc::not_found);
    EXPECT_NE(device.error().text.find(directory + "/none"), std::string::npos);
    EXPECT_FALSE(WatchdogDevice::is_there(directory + "/none"));
    EXPECT_TRUE(WatchdogDevice::is_there(path));
}

TEST_F(watchdog_device, a_fifo_that_nobody_reads_does_not_keep_the_agent_waiting) {
    close(end);
    end = -1;
    EXPECT_FALSE(WatchdogDevice::open(path, WatchdogDevice::Driver::testing));
}

}  // namespace
}  // namespace pgkeel::guardian
