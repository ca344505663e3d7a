#pragma once
#include "base/result.hpp"

#include <string>

namespace pgkeel::cli {

/// Asks for a yes unless `force`. Errors: invalid_input — nobody is there to answer; cancelled — the answer was not
/// yes.
Result<> ask_first(const std::string& question, bool force);

/// What `ask_first` says when standard input is no terminal; `what` needs an answer.
Result<> need_terminal(const std::string& what);

}  // namespace pgkeel::cli
