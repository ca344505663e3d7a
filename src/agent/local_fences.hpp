#pragma once
#include "agent/fences.hpp"
#include "agent/guardian_process.hpp"
#include "agent/watchdog.hpp"
#include "config/agent_config.hpp"

#include <memory>
#include <optional>
#include <string>

namespace pgkeel::agent {

class LocalFences final : public Fences {
  public:
    LocalFences(asio::any_io_executor executor, Clock& clock, Workers& workers, const config::AgentConfig& config);

    /// Starts the guardian; without one the node does not lead.
    Task<> start();

    void renewed(const ha::HeldLease& lease) override;
    Task<Result<>> arm(pid_t postmaster) override;
    Task<Result<>> arm_for_bootstrap() override;
    void disarm(Disarmed why) override;
    std::string unfit() const override;
    bool watchdog_failed() const override { return !watchdog_.failed().empty(); }
    void use(const ClusterSettings& settings) override { watchdog_.use(settings); }

  private:
    Task<Result<>> arm_guardian(pid_t postmaster, bool ends_with_agent);
    void write();

    Clock& clock_;
    std::unique_ptr<GuardianProcess> guardian_;  ///< none: switched off, or `broken_`
    std::string broken_;
    Watchdog watchdog_;
    guardian::Orders orders_;
    std::optional<ha::HeldLease> lease_;  ///< as last renewed; maybe lost since
    bool said_ = false;                   ///< the page holds what is wanted, for the first time
    std::uint64_t disarmed_ = 0;          ///< how often: an arming that is under way is void then
};

}  // namespace pgkeel::agent
