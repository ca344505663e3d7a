#pragma once
#include "auth/hba.hpp"
#include "base/result.hpp"

namespace pgkeel::auth {

/// One line of pg_hba.conf as a rule. Errors: invalid_input, naming file, line and word.
Result<HbaRule> read_hba_rule(const HbaLine& line);

}  // namespace pgkeel::auth
