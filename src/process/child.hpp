#pragma once
#include "async/clock.hpp"
#include "base/result.hpp"

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pgkeel {

/// A program to run: no shell. Secrets go through files or `environment`, never through `arguments`.
struct Command {
    std::vector<std::string> arguments;                          ///< [0] is looked up in PATH
    std::map<std::string, std::string> environment;              ///< added to what is inherited
    std::vector<std::string> without_environment_prefixes = {};  ///< inherited variables that begin so are dropped
    std::string directory = {};                                  ///< working directory; empty: unchanged
    std::string input = {};                                      ///< written to its standard input
    std::string output_file = {};  ///< stdout and stderr are appended here instead of being captured
    bool new_session = false;      ///< setsid: it outlives a signal to our process group
    uid_t user = 0;                ///< != 0: run as this user (we are root)
    gid_t group = 0;
};

constexpr std::size_t captured_bytes_max = std::size_t{1} << 20;

struct ExitStatus {
    int code = 0;        ///< exit code, or 128 + signal
    std::string output;  ///< stdout, at most captured_bytes_max
    std::string errors;  ///< stderr, likewise; the last part when there is more
    bool ok() const { return code == 0; }
};

/// Runs a program to its end without blocking the event loop. At the deadline, or when `cancel` says so, it gets
/// SIGTERM, two seconds later SIGKILL, with all its children. Errors: process_failed (could not be started), timed_out,
/// cancelled.
class Cancel;
Task<Result<ExitStatus>> run(Clock& clock, Command command, Deadline deadline, Cancel* cancel = nullptr);
/// As `run`, and a non-zero exit is an error too, with the last line it printed.
Task<Result<ExitStatus>> run_checked(Clock& clock, Command command, Deadline deadline, Cancel* cancel = nullptr);

/// Starts a program that goes on by itself (etcd, postgres); returns its pid. It is reaped when it ends. Without
/// `output_file` it writes to our own stderr. Errors: not_found, process_failed.
Result<pid_t> start_detached(const Command& command);

/// As pid 1 of a container, or as a subreaper, we inherit strangers: waits for every dead child that neither `run` nor
/// `start_detached` started; returns how many. Cheap; to be called now and then.
int reap_orphans();

/// Splits like a POSIX shell does: blanks, quotes, backslashes; no expansion.
Result<std::vector<std::string>> split_shell_words(std::string_view line);

/// Finds `program` in PATH, or checks it when it holds a slash.
Result<std::string> find_program(const std::string& program);

/// Tells a running child to end.
class Cancel {
  public:
    void request();
    bool requested() const { return requested_; }

  private:
    friend struct RunningChild;
    bool requested_ = false;
    std::vector<std::function<void()>> listeners_;
};

}  // namespace pgkeel
