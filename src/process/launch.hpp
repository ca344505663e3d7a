#pragma once
#include "base/result.hpp"
#include "process/child.hpp"

namespace pgkeel {

/// What a new process gets as its standard streams. The descriptors stay the caller's.
struct Streams {
    int input = -1;
    int output = -1;
    int errors = -1;
};

/// fork and exec. The child leads a process group of its own (a session with `new_session`), has every signal at its
/// default, and inherits no descriptor but `streams`. It is owned (process/reaper.hpp): the caller must wait for it and
/// disown it. Errors: not_found, process_failed, invalid_input.
Result<pid_t> launch(const Command& command, Streams streams);

}  // namespace pgkeel
