#pragma once
#include "agent/scripts.hpp"
#include "async/clock.hpp"
#include "config/agent_config.hpp"

#include <memory>
#include <string>

namespace pgkeel::agent {

/// Runs the operator's programs (Patroni's documentation, "postgresql.callbacks" and "pre_promote").
///
/// Callbacks run one after the other: the next one makes the one that is running end, with its children, after a short
/// grace, so that a hanging script never holds up the news of a new role. on_reload has a line of its own. Commands are
/// split as a shell does it and are looked up from the directory in which the agent was started.
class ScriptRunner final : public Scripts {
  public:
    ScriptRunner(asio::any_io_executor executor, Clock& clock, const config::AgentConfig& config);
    ~ScriptRunner() override;

    /// Takes the commands of a file that was read again; what runs goes on.
    void use(const config::AgentConfig& config);

    void call(Callback callback, Role role) override;
    /// Errors: process_failed; timed_out — it was stopped.
    Task<Result<>> pre_promote() override;
    bool can_fence() const override { return !fence_command_.empty(); }
    Task<Result<>> fence(std::string name, std::string host) override;

    /// Waits until everything that was called has ended: an agent that stops owes its on_stop that. What still runs at
    /// the deadline is left to the end of the process.
    Task<> finish(Deadline deadline);

  private:
    class Line;
    asio::any_io_executor executor_;
    Clock& clock_;
    config::Callbacks callbacks_;
    std::string pre_promote_;
    std::string scope_;
    std::string name_;
    std::string fence_command_;
    Duration fence_time_max_{};
    std::shared_ptr<Line> changes_;
    std::shared_ptr<Line> reloads_;
};

}  // namespace pgkeel::agent
