#include "agent/fences.hpp"

namespace pgkeel::agent {

namespace {

class NoFences final : public Fences {
  public:
    void renewed(const ha::HeldLease&) override {}
    Task<Result<>> arm(pid_t) override { co_return Result<>{}; }
    Task<Result<>> arm_for_bootstrap() override { co_return Result<>{}; }
    void disarm(Disarmed) override {}
    std::string unfit() const override { return {}; }
    bool watchdog_failed() const override { return false; }
    void use(const ClusterSettings&) override {}
};

}  // namespace

Fences& no_fences() {
    static NoFences none;
    return none;
}

}  // namespace pgkeel::agent
