#pragma once
#include "base/settings.hpp"
#include "config/agent_config.hpp"
#include "guardian/watchdog_device.hpp"

#include <memory>
#include <string>

namespace pgkeel::agent {

/// The machine's watchdog, as the section `watchdog` wants it: open while this node leads, fed by renewals of the lease
/// that have succeeded and by nothing else.
class Watchdog {
  public:
    explicit Watchdog(config::Watchdog options) : options_(std::move(options)) {}

    void use(const ClusterSettings& settings);
    /// Errors: unsafe — it is required, and does not work.
    Result<> activate();
    void feed();
    void disable();

    /// It is required, and would not work if it were needed now. Empty: all is well.
    std::string failed() const;
    /// Open, and not a real one: it stands in for hardware in a test.
    bool is_rehearsed() const { return device_ != nullptr && options_.driver == "testing"; }

  private:
    bool required() const { return options_.mode == "required"; }
    int timeout_seconds() const;
    /// Why the durations leave it no room; empty: they do.
    std::string misfit() const;
    Result<> open();
    Result<> set_timeout();

    config::Watchdog options_;
    ClusterSettings settings_;
    std::unique_ptr<guardian::WatchdogDevice> device_;
    int timeout_set_ = 0;
    bool complained_ = false;
};

}  // namespace pgkeel::agent
