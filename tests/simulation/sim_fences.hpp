#pragma once
#include "agent/fences.hpp"
#include "simulation/machine.hpp"
#include "simulation/world.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace pgkeel::simulation {

/// A host's guardians: processes beside the agent, which outlive it and do not stand still with it.
class Guardians {
  public:
    struct Guardian {
        bool armed = false;
        Instant deadline{};  ///< by the host's clock
        bool ends_with_agent = false;
        bool agent_lives = true;
    };

    /// \param killed  called when one of them has ended the server
    Guardians(World& world, const HostClock& clock, Machine& machine, std::function<void()> killed)
        : world_(world), clock_(clock), machine_(machine), killed_(std::move(killed)) {}

    /// The guardian of a new agent; those of dead ones go on until it has its first orders.
    std::shared_ptr<Guardian> add();
    void ordered(const std::shared_ptr<Guardian>& guardian);
    void agent_died();
    void power_lost() { all_.clear(); }
    /// None works until then, true time; the orders are kept.
    void absent_until(Instant end);
    /// How long there has been none.
    bool missing_for(Duration time) const {
        return world_.now() < absent_until_ && world_.now() - absent_since_ >= time;
    }
    /// The server's writes end in time whatever its agent does: the deadline, or what killing takes, is not over.
    bool armed_in_time() const;

  private:
    bool is_due(const Guardian& guardian) const {
        return guardian.armed &&
               (clock_.now() >= guardian.deadline || (guardian.ends_with_agent && !guardian.agent_lives));
    }
    void watch(const std::shared_ptr<Guardian>& guardian);
    void look(const std::shared_ptr<Guardian>& guardian);

    World& world_;
    const HostClock& clock_;
    Machine& machine_;
    std::function<void()> killed_;
    std::vector<std::shared_ptr<Guardian>> all_;
    Instant absent_since_{};
    Instant absent_until_{};
};

/// What an agent sees of them.
class SimFences final : public agent::Fences {
  public:
    SimFences(Guardians& guardians, Clock& clock) : guardians_(guardians), clock_(clock), mine_(guardians.add()) {}

    void renewed(const ha::HeldLease& lease) override;
    Task<Result<>> arm(pid_t postmaster) override;
    Task<Result<>> arm_for_bootstrap() override;
    void disarm(Disarmed why) override;
    std::string unfit() const override;
    bool watchdog_failed() const override { return false; }
    void use(const ClusterSettings&) override {}

  private:
    Task<Result<>> ready() const;

    Guardians& guardians_;
    Clock& clock_;
    std::shared_ptr<Guardians::Guardian> mine_;
    std::optional<ha::HeldLease> lease_;
};

}  // namespace pgkeel::simulation
