#pragma once
#include "ha/decision.hpp"
#include "ha/snapshot.hpp"

namespace pgkeel::ha {

/// What this node does next. Pure: the same snapshot gives the same decision; `seen.now` is all it knows of time.
/// The rules and their order: docs/architecture.md, "Decisions".
Decision decide(const Snapshot& seen);

}  // namespace pgkeel::ha
