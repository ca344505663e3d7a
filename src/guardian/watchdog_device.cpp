#include "guardian/watchdog_device.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pgkeel::guardian {

namespace {

Errc code_of(int error) {
    switch (error) {
        case ENOENT:
        case ENXIO:
        case ENODEV:
            return Errc::not_found;
        case EACCES:
        case EPERM:
            return Errc::denied;
        case EBUSY:
            return Errc::already_exists;
        default:
            return Errc::io_error;
    }
}

const char* hint_for(int error) {
    if (error == EACCES || error == EPERM) return "give its device file to the user that the agent runs as";
    if (error == EBUSY) return "who else has it? systemd does with RuntimeWatchdogSec";
    if (error == ENOENT || error == ENXIO || error == ENODEV)
        return "load the driver of this machine's watchdog, or softdog, or set watchdog.device";
    return "";
}

}  // namespace

Result<std::unique_ptr<WatchdogDevice>> WatchdogDevice::open(const std::string& path, Driver driver) {
    // A FIFO without a reader would keep us waiting; the kernel's watchdogs do not know the flag.
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        const int error = errno;
        return fail(code_of(error), fmt::format("cannot open the watchdog {}: {}", path, std::strerror(error)),
                    hint_for(error));
    }
    return std::unique_ptr<WatchdogDevice>(new WatchdogDevice(path, descriptor, driver));
}

bool WatchdogDevice::is_there(const std::string& path) {
    return access(path.c_str(), W_OK) == 0;
}

WatchdogDevice::WatchdogDevice(std::string path, int descriptor, Driver driver)
    : path_(std::move(path)), descriptor_(descriptor), driver_(driver) {
    watchdog_info about{};
    if (driver_ == Driver::kernel && ioctl(descriptor_, WDIOC_GETSUPPORT, &about) == 0)
        can_be_disabled_ = (about.options & WDIOF_MAGICCLOSE) != 0;
}

WatchdogDevice::~WatchdogDevice() {
    if (descriptor_ >= 0) close(descriptor_);
}

std::unexpected<Error> WatchdogDevice::failed(const char* step) const {
    const int error = errno;
    return fail(Errc::io_error, fmt::format("the watchdog {}: {} failed: {}", path_, step, std::strerror(error)),
                error == ENOTTY ? "is watchdog.device a watchdog?" : "");
}

Result<> WatchdogDevice::send(const std::string& bytes) {
    if (write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return failed("writing");
    return {};
}

Result<int> WatchdogDevice::set_timeout(int seconds) {
    if (driver_ == Driver::testing) {
        if (auto sent = send(fmt::format("Ctimeout={}\n", seconds)); !sent) return std::unexpected(sent.error());
        return seconds;
    }
    int counts = seconds;
    // A device with a timeout of its own says so here.
    if (ioctl(descriptor_, WDIOC_SETTIMEOUT, &counts) == 0) return counts;
    if (ioctl(descriptor_, WDIOC_GETTIMEOUT, &counts) != 0) return failed("reading its timeout");
    return counts;
}

Result<> WatchdogDevice::feed() {
    if (driver_ == Driver::testing) return send("1");
    if (ioctl(descriptor_, WDIOC_KEEPALIVE, nullptr) != 0) return failed("feeding it");
    return {};
}

Result<> WatchdogDevice::disable() {
    auto sent = send("V");
    close(descriptor_);
    descriptor_ = -1;
    return sent;
}

}  // namespace pgkeel::guardian
