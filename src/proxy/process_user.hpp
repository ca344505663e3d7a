#pragma once
#include "base/result.hpp"

#include <string>

namespace pgkeel::proxy {

/// Errors: not_found — nobody has that name. An empty one is right.
Result<> check_user(const std::string& name);

/// Becomes the system user `name` with all of that user's groups, for good; an empty name changes nothing. Root must
/// name somebody: a proxy that strangers talk to has no use for root's rights. Errors: denied — we may not become that
/// user, or would stay root; not_found — nobody has that name.
Result<> become_user(const std::string& name);

}  // namespace pgkeel::proxy
