#pragma once
#include "postgres/configuration_files.hpp"
#include "postgres/conninfo.hpp"
#include "postgres/programs.hpp"
#include "postgres/rewind_rule.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

// Running pg_rewind and what it needs. The rule when to is in rewind_rule.hpp.

namespace pgkeel::postgres {

/// Who may read another server's files: section rewind, else the superuser.
config::PgUser rewind_user(const config::AgentConfig& agent);

/// use_pg_rewind, the binary is there, and the server wrote what pg_rewind needs (wal_log_hints or checksums).
/// `why_not` says what is missing.
Task<bool> can_rewind(const Programs& programs, json::object dynamic, std::optional<ControlData> control,
                      std::string* why_not = nullptr);

/// Reads the WAL after the shutdown checkpoint of the stopped server; nothing when pg_waldump cannot.
Task<std::optional<Lsn>> shutdown_checkpoint_end(const Programs& programs, Timeline timeline, Lsn checkpoint,
                                                 Deadline deadline);

struct RewindRequest {
    Endpoint leader;
    json::object dynamic;         ///< for `postgresql.rewind`'s options and restore_command
    std::string restore_command;  ///< effective; not empty: pg_rewind may fetch missing WAL with it
};
std::vector<std::string> rewind_arguments(const config::AgentConfig& agent, const RewindRequest& request,
                                          const std::string& config_file, std::vector<std::string>& warnings);
/// Runs pg_rewind of the stopped server against the leader. Errors: process_failed with its last lines; denied;
/// cancelled.
Task<Result<>> run_rewind(const Programs& programs, ConfigurationFiles& files, RewindRequest request, Deadline deadline,
                          Cancel* cancel);

/// Crash recovery in single-user mode: pg_rewind wants a clean shutdown. Archiving is on and refuses every file, so
/// that WAL the crash left behind is neither lost nor recycled. Removes a stale postmaster.pid first. Errors:
/// process_failed; unsafe — a backup_label is there, or a postmaster lives.
Task<Result<>> recover_single_user(const Programs& programs, ConfigurationFiles& files, const Parameters& parameters,
                                   Deadline deadline, Cancel* cancel);

/// The command that archives this server's WAL with these parameters; empty when archive_mode is off.
std::string archive_command_of(const Parameters& parameters);
/// Archives one file of pg_wal.
Task<Result<>> archive_segment(const Programs& programs, std::string archive_command, std::string name,
                               Deadline deadline, Cancel* cancel);
/// Archives the segments that pg_wal/archive_status marks .ready with the server's own archive_command (%p, %f), oldest
/// first; stops at the first that fails. Returns how many.
Task<Result<int>> archive_ready_segments(const Programs& programs, std::string archive_command, Deadline deadline,
                                         Cancel* cancel);

}  // namespace pgkeel::postgres
