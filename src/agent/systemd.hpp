#pragma once
#include "base/clock.hpp"

#include <optional>
#include <string>

namespace pgkeel::agent {

/// Tells the service manager how far we are (systemd documentation, sd_notify(3) and sd_watchdog_enabled(3)). Without
/// one it does nothing.
class ServiceManager {
  public:
    /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment: children are not the
    /// service.
    static ServiceManager from_environment();
    ServiceManager() = default;
    ServiceManager(ServiceManager&& other) noexcept;
    ServiceManager& operator=(ServiceManager&& other) noexcept;
    ~ServiceManager();

    void ready();
    void reloading();  ///< `ready` follows when the reload is over
    void stopping();
    /// To be called at least twice in each interval while the agent's loop comes round, and not otherwise.
    void alive();
    /// Within which time the service manager wants to hear `alive`; nothing: it does not.
    const std::optional<Duration>& watchdog_interval() const { return watchdog_interval_; }
    bool there() const { return socket_ >= 0; }

  private:
    void send(const std::string& message) const;

    int socket_ = -1;
    std::optional<Duration> watchdog_interval_;
};

}  // namespace pgkeel::agent
