#pragma once
#include "async/event.hpp"
#include "async/workers.hpp"
#include "base/server_state.hpp"
#include "postgres/connection.hpp"
#include "postgres/control_data.hpp"
#include "postgres/postmaster.hpp"

#include <memory>
#include <string>

namespace pgkeel::postgres {

/// What the files and processes of a data directory tell.
struct FileFacts {
    DataDirectory data_directory = DataDirectory::empty;
    PostmasterFound postmaster;
    std::string socket_directory_id;  ///< of the directory in postmaster.file; empty: there is none
    bool standby_signal = false;
    bool backup_label = false;
    /// Of the control file: changes with its content.
    std::pair<std::int64_t, std::uint64_t> control_stamp;
};
/// Blocks: use Workers.
FileFacts look_at_files(const std::string& data_directory);

/// Sees this node's server: one question a tick on a connection that stays open, and a look at its files from another
/// thread. What does not answer in time is a fact too. Nothing here changes the server.
class Observer {
  public:
    explicit Observer(const Programs& programs) : programs_(programs) {}

    struct Seen {
        ServerState state;
        FileFacts files;
        bool settings_changed = false;  ///< reloaded or connected anew since the last answer
    };
    /// `login`: how to reach the server, made from what its files say.
    Task<Seen> observe(std::function<Login(const FileFacts&)> login, Deadline deadline);

    /// A question on the observer's own connection, after an `observe` that was answered. Errors: as Connection::query.
    Task<Result<SqlRows>> ask(std::string statement, std::vector<std::string> parameters, Deadline deadline);
    /// The next observations bring pg_control's data although the server runs, until its checkpoint is of the current
    /// timeline.
    void want_control() { control_wanted_ = true; }
    /// Our session would keep a server from stopping gently no longer.
    void disconnect();

  private:
    Task<FileFacts> look(Deadline deadline, bool& in_time);
    Task<> question(ServerState& state, Seen& seen, Login login, Deadline deadline);
    Task<Result<>> connect(Login login, Deadline deadline);
    Task<> add_control(Seen& seen, Deadline deadline);

    struct Look;
    struct Turn;
    const Programs& programs_;
    std::shared_ptr<Look> pending_;  ///< a disk that hangs holds one worker, not one more each second
    FileFacts last_facts_;
    std::shared_ptr<Connection> connection_;
    pid_t connected_to_ = 0;
    ServerState identity_;
    std::string conf_load_time_;
    std::optional<ControlData> control_;
    std::pair<std::int64_t, std::uint64_t> control_stamp_;
    bool control_wanted_ = true;
    bool busy_ = false;
    Event free_;
};

}  // namespace pgkeel::postgres
