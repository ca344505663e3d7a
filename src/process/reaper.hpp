#pragma once
#include <sys/types.h>

// Who waits for which child. A child that `run` watches is waited for by `run` and one that was started detached by a
// thread of its own; as pid 1 of a container the agent also inherits strangers, and must wait for those, but for no
// other.

namespace pgkeel {

/// fork(); the child is owned from its first moment, until `disown`.
pid_t fork_owned();
void disown(pid_t pid);

/// Waits for `pid` on a thread of its own. The pid must be owned.
void reap_in_background(pid_t pid);

/// Waits for every dead child that is not ours; returns how many. Cheap; call it now and then when the agent is pid 1
/// or a subreaper.
int reap_orphans();

}  // namespace pgkeel
