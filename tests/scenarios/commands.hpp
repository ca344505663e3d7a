#pragma once
#include "scenarios/stage.hpp"

#include <string>
#include <vector>

namespace pgkeel::scenarios {

/// Carries out one command; `--help` prints the list. Throws std::runtime_error for one that makes no sense.
void run_command(Stage& stage, const std::vector<std::string>& words);

const char* commands_help();

}  // namespace pgkeel::scenarios
