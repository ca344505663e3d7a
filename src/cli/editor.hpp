#pragma once
#include "base/result.hpp"

#include <string>

namespace pgkeel::cli {

/// Lets the operator edit `text` in $EDITOR (else editor, else vi) on this terminal; returns what was saved. The text
/// passes through a file only this user can read. Errors: invalid_input — no editor; process_failed; io_error.
Result<std::string> edit_text(const std::string& text, const std::string& name);

}  // namespace pgkeel::cli
