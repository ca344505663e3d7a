#pragma once
#include "async/task.hpp"
#include "base/server_state.hpp"

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The processes of a server, as the kernel tells. A server is more than its postmaster: a backend that is busy outlives
// it for as long as its statement runs, and commits. So "stopped" is said only when no process of this data directory
// is left, and killing begins with freezing the postmaster, which then cannot fork. A zombie is dead, whoever forgot to
// wait for it.

namespace pgkeel::postgres {

/// What postmaster.pid says (PostgreSQL, "Database File Layout").
struct PostmasterFile {
    pid_t pid = 0;  ///< negative in the file: a single-user server; `standalone` then
    bool standalone = false;
    std::string data_directory;
    std::int64_t start_time = 0;  ///< seconds since 1970, by the wall clock of then
    std::string port;
    std::string socket_directory;
    std::string listen_address;
    std::string status;  ///< "ready", "standby", "starting", "stopping"
};
std::optional<PostmasterFile> parse_postmaster_file(std::string_view text);

/// One process of a server.
struct ServerProcess {
    pid_t pid = 0;
    pid_t parent = 0;
    char state = '?';           ///< as in /proc/PID/stat; 'Z' never: that is none
    std::uint64_t started = 0;  ///< clock ticks since boot: with the pid it names one process for ever
};

/// Everything below reads /proc: use Workers.

/// The process `pid`, if it is alive and a PostgreSQL process of this data directory.
std::optional<ServerProcess> server_process(pid_t pid, const std::string& data_directory);
/// A process that we started ourselves and that may not have entered its data directory yet; nothing when it is dead.
std::optional<ServerProcess> process_identity(pid_t pid);

/// A data directory as a place and, should it have been removed under a running server, as a name. The place stays the
/// same when the directory is renamed: its processes are still found, and those of a directory that has its name now
/// are not taken for them.
class ServerPlace {
  public:
    explicit ServerPlace(const std::string& directory);
    /// The directory as it was when somebody else looked at it.
    ServerPlace(std::string path, std::uint64_t device, std::uint64_t inode)
        : device_(device), inode_(inode), path_(std::move(path)) {}
    const std::string& path() const { return path_; }
    std::uint64_t device() const { return device_; }
    std::uint64_t inode() const { return inode_; }  ///< 0: there is no such directory
    /// Whether that is the working directory of `pid`.
    bool is_where(pid_t pid) const;

  private:
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    std::string path_;
};

/// All of them, and the one we know to be on its way.
std::vector<ServerProcess> server_processes(const ServerPlace& place, std::optional<ServerProcess> known = {});

struct PostmasterFound {
    Postmaster state = Postmaster::absent;
    pid_t pid = 0;         ///< while running
    bool stopped = false;  ///< running, but halted by SIGSTOP or a debugger: it answers nobody new
    PostmasterFile file;   ///< while running
};
/// Whether this data directory's server runs. A pid file is believed only if its process is what it claims.
PostmasterFound find_postmaster(const std::string& data_directory);

/// One pass of killing: freezes the postmaster, kills every other process of the server with what it started, then the
/// postmaster. Returns how many there were; zero: none is left.
std::size_t kill_pass(const ServerPlace& place, std::optional<ServerProcess> known = {});

/// Tells the event loop once that a process has ended, child of ours or not.
class ExitWatch {
  public:
    /// Nothing when the process is gone already.
    static std::unique_ptr<ExitWatch> begin(const asio::any_io_executor& executor, pid_t pid,
                                            std::function<void()> on_exit);
    ~ExitWatch();
    ExitWatch(const ExitWatch&) = delete;
    ExitWatch& operator=(const ExitWatch&) = delete;
    pid_t pid() const { return pid_; }

  private:
    struct Watched;
    ExitWatch(pid_t pid, std::shared_ptr<Watched> watched) : pid_(pid), watched_(std::move(watched)) {}
    pid_t pid_;
    std::shared_ptr<Watched> watched_;
};

}  // namespace pgkeel::postgres
