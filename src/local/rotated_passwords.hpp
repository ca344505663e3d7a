#pragma once
#include "base/result.hpp"
#include "local/plan.hpp"

// A local cluster whose agents have changed their passwords (`pgkeel rotate-credentials`): the plan, and the files that
// are made from it, follow.

namespace pgkeel::local {

/// Takes the passwords that the agents have in force into the plan. True: the plan has changed. Agents that have new
/// ones in store only, and files that cannot be read, change nothing.
bool adopt_rotated(Plan& plan, const Layout& layout);

/// Adopts them, writes the plan and the files of those who log in (commands, psql, the proxy), and tells the proxy.
/// Agents have their own files. As root, this process becomes the user who owns the cluster, for good. Errors:
/// io_error, denied.
Result<> follow_rotation(const Layout& layout);

}  // namespace pgkeel::local
