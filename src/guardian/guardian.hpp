#pragma once
#include "guardian/page.hpp"
#include "postgres/postmaster.hpp"

#include <string>
#include <vector>

namespace pgkeel::guardian {

/// One agent's guardian, as the process table shows it.
struct Kin {
    pid_t pid = 0;
    std::uint64_t started = 0;
    bool agent_lives = false;  ///< the agent that it was started by
};

/// The command line of a guardian; its page is its standard input.
std::vector<std::string> arguments(const std::string& data_directory, const postgres::ServerProcess& agent);

/// Every guardian of this data directory and of our user. Reads /proc: use Workers.
std::vector<Kin> find_kin(const std::string& data_directory);

/// Ends that process and no other; nothing when it is gone.
void end(const Kin& kin);

/// One pass at a server whose time is over. Returns how many processes there were; zero: none is left, or the server
/// is another one than the orders speak of.
std::size_t fence_pass(const std::string& data_directory, const Orders& orders);

/// Runs the guardian until its agent has no use for it any more: `pgkeel guardian DIRECTORY AGENT_PID AGENT_STARTED`.
/// \return the exit status
int run(const std::string& data_directory, pid_t agent, std::uint64_t agent_started);

}  // namespace pgkeel::guardian
