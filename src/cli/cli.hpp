#pragma once

namespace pgkeel::cli {

/// Finds the command and runs it. Returns the exit status: 0 done, 1 failed, 2 wrong usage.
int run(int argc, char** argv);

}  // namespace pgkeel::cli
