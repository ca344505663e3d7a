#pragma once
#include "base/result.hpp"

#include <memory>
#include <string>

namespace pgkeel::guardian {

/// A watchdog that resets the machine unless it is fed; see the kernel's Documentation/watchdog/watchdog-api.rst.
/// Dropped without `disable` it goes on counting: that is what it is for.
class WatchdogDevice {
  public:
    enum class Driver {
        kernel,   ///< /dev/watchdog
        testing,  ///< the same bytes on any file, such as a FIFO, and the timeout as text: "Ctimeout=25"
    };
    /// Opens it, which starts its clock. Errors: not_found, denied, already_exists — another process has it.
    static Result<std::unique_ptr<WatchdogDevice>> open(const std::string& path, Driver driver);
    /// Whether it could be opened now, without doing so.
    static bool is_there(const std::string& path);

    ~WatchdogDevice();
    WatchdogDevice(const WatchdogDevice&) = delete;
    WatchdogDevice& operator=(const WatchdogDevice&) = delete;

    /// Returns the seconds that it counts now: a device may round, or not allow it. Errors: io_error.
    Result<int> set_timeout(int seconds);
    /// Errors: io_error.
    Result<> feed();
    /// Stops its clock and closes it. Errors: io_error — it will bite.
    Result<> disable();
    /// False: once started it cannot be stopped (the kernel's "nowayout").
    bool can_be_disabled() const { return can_be_disabled_; }

  private:
    WatchdogDevice(std::string path, int descriptor, Driver driver);
    Result<> send(const std::string& bytes);
    std::unexpected<Error> failed(const char* step) const;

    std::string path_;
    int descriptor_;
    Driver driver_;
    bool can_be_disabled_ = true;
};

}  // namespace pgkeel::guardian
