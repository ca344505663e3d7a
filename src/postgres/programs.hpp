#pragma once
#include "async/clock.hpp"
#include "async/workers.hpp"
#include "config/agent_config.hpp"
#include "postgres/files.hpp"
#include "process/child.hpp"

#include <string>
#include <vector>

namespace pgkeel::postgres {

/// What PostgreSQL's one-shot programs and the user's scripts need to run on this node. Lives as long as the server
/// object.
struct Programs {
    Clock& clock;
    Workers& workers;
    const config::AgentConfig& agent;
    Account account;

    /// One of PostgreSQL's programs, as the right user, without the agent's own variables, messages in English.
    Command command(const std::string& program, std::vector<std::string> arguments) const;
    /// A user's command line, split like a shell does, with arguments added. Errors: invalid_input.
    Result<Command> script(const std::string& line, std::vector<std::string> arguments) const;
};

}  // namespace pgkeel::postgres
