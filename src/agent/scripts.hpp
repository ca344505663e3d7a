#pragma once
#include "async/task.hpp"
#include "base/cluster_view.hpp"
#include "base/result.hpp"

namespace pgkeel::agent {

enum class Callback { on_start, on_stop, on_restart, on_reload, on_role_change };
const char* to_string(Callback callback);

/// The operator's own programs. The real one runs processes (ScriptRunner); the simulation has none.
class Scripts {
  public:
    virtual ~Scripts() = default;
    /// Starts a callback and does not wait for it: `<command> <action> <role> <scope>`.
    virtual void call(Callback callback, Role role) = 0;
    /// The script that may forbid a promotion. Errors: process_failed.
    virtual Task<Result<>> pre_promote() = 0;

    /// Whether the operator has a command that makes certain that another node writes no more.
    virtual bool can_fence() const { return false; }
    /// Runs it against the node `name`; `host` may be empty when its address was never seen. Errors: process_failed,
    /// timed_out.
    virtual Task<Result<>> fence(std::string /*name*/, std::string /*host*/) { co_return Result<>{}; }
};

}  // namespace pgkeel::agent
