#pragma once
#include "async/task.hpp"
#include "base/result.hpp"
#include "base/settings.hpp"
#include "ha/lease.hpp"

#include <sys/types.h>

#include <string>

namespace pgkeel::agent {

/// What ends this node's writes when the agent cannot: the guardian and the machine's watchdog
/// (docs/decisions/0007-guardian.md). The real one is LocalFences; the simulation has another.
///
/// They are armed before the server may take writes and until it is certain that it takes none; in between only a
/// renewal that has succeeded moves their deadline.
class Fences {
  public:
    virtual ~Fences() = default;

    /// The lease was taken, or renewed by a write: its deadline holds from now on.
    virtual void renewed(const ha::HeldLease& lease) = 0;
    /// The server may take writes from now on, until that deadline.
    /// \param postmaster  the server that is meant, while it runs; 0: the one that is started next
    /// Errors: unsafe — nobody would end it: it must not take any. cancelled — disarmed meanwhile.
    virtual Task<Result<>> arm(pid_t postmaster) = 0;
    /// The server of a cluster that is being made, without a lease: it must not outlive this agent.
    virtual Task<Result<>> arm_for_bootstrap() = 0;

    enum class Disarmed {
        no_writes,  ///< the server is stopped, or in recovery
        paused,     ///< the cluster is: a primary goes on without a lease, and without an agent
    };
    virtual void disarm(Disarmed why) = 0;

    /// Why this node must not lead; empty: it may.
    virtual std::string unfit() const = 0;
    /// Patroni's watchdog_failed: the watchdog is required and there is none that works.
    virtual bool watchdog_failed() const = 0;
    /// The watchdog's timeout follows from them.
    virtual void use(const ClusterSettings& settings) = 0;
};

/// A node that nobody fences; for tests.
Fences& no_fences();

}  // namespace pgkeel::agent
