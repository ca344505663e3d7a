#pragma once
#include "base/clock.hpp"
#include "base/lsn.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What can be seen of this node's PostgreSQL. Plain data; `postgres/` fills it, `ha/` decides on it.

namespace pgkeel {

/// What pg_control says about a server (PostgreSQL, pg_controldata).
enum class ControlState {
    unknown,
    starting_up,
    shut_down,
    shut_down_in_recovery,
    shutting_down,
    in_crash_recovery,
    in_archive_recovery,
    in_production,
};

struct ControlData {
    ControlState state = ControlState::unknown;
    std::string system_identifier;
    Timeline checkpoint_timeline;
    Lsn checkpoint;  ///< where the latest checkpoint record is
    Lsn checkpoint_redo;
    std::string redo_wal_file;  ///< the segment that the latest checkpoint begins in
    Timeline min_recovery_timeline;
    Lsn min_recovery_end;
    /// That of the end of WAL, as far as this file knows.
    Timeline last_timeline() const { return std::max(checkpoint_timeline, min_recovery_timeline); }
    bool wal_log_hints = false;
    bool data_checksums = false;
    std::map<std::string, int> settings;  ///< max_connections, max_worker_processes, … of the last start
};

enum class DataDirectory {
    empty,    ///< missing or without files
    present,  ///< holds a PostgreSQL cluster
    foreign,  ///< not empty, and not a PostgreSQL cluster (PG_VERSION or global/pg_control is missing)
    damaged,  ///< pg_rewind was interrupted in it: only a fresh copy helps (PostgreSQL, pg_rewind, "Warning")
};

/// A row of pg_replication_slots.
struct Slot {
    std::string name;
    bool physical = true;
    bool active = false;
    std::string database;
    std::string plugin;
    Lsn restart_lsn;
    Lsn confirmed_flush_lsn;
    bool has_xmin = false;
    std::uint32_t catalog_xmin = 0;
    std::string wal_status;
    bool failover = false;  ///< PostgreSQL 17 and later keeps it on standbys by itself
};

/// A row of pg_stat_replication.
struct ReplicationClient {
    int pid = 0;  ///< of its wal sender
    std::string usename;
    std::string application_name;
    std::string client_addr;
    std::string state;
    std::string sync_state;
    int sync_priority = 0;
    Lsn sent;
    Lsn written;
    Lsn flushed;
    Lsn replayed;
};

enum class Postmaster {
    absent,   ///< no postmaster and no backend of this data directory is left
    remains,  ///< the postmaster is gone (or a zombie) and backends are still alive
    running,
};

struct ServerState {
    DataDirectory data_directory = DataDirectory::empty;
    Postmaster postmaster = Postmaster::absent;
    int postmaster_pid = 0;
    std::string port{};  ///< that the running server listens on
    /// Directory of its first Unix socket while it runs, and socket_directory_id() of that; empty: it has none, or not
    /// at an absolute path.
    std::string unix_socket{};
    std::string unix_socket_id{};
    bool accepts_connections = false;  ///< the state query was answered
    bool halted = false;        ///< its postmaster is stopped by SIGSTOP, or a debugger: nobody new gets an answer
    bool query_failed = false;  ///< running, and the query was refused or timed out (not: still starting up)
    bool in_recovery = false;   ///< valid while accepts_connections
    /// Valid while a server runs and does not accept connections, or is down: what its files say it will be.
    bool standby_signal = false;
    std::string system_identifier;
    int version_number = 0;             ///< 150020
    std::string postmaster_start_time;  ///< "YYYY-MM-DD HH:MM:SS.ffffff+00:00"
    Timeline timeline;
    Lsn written;   ///< primary: flushed
    Lsn received;  ///< standby: of the wal receiver
    Lsn replayed;
    Lsn latest_end;  ///< standby: newest position its sender reported
    std::string replayed_timestamp;
    bool replay_paused = false;
    std::string replication_state;  ///< "streaming", "in archive recovery", empty on a primary
    bool wal_receiver_active = false;
    /// Standby: it has read all the WAL that is on its disk, so it has no more than `position`.
    bool knows_its_wal_end = true;
    std::string primary_conninfo;  ///< effective, as pg_settings shows it
    std::string primary_slot_name;
    std::vector<ReplicationClient> replication;
    std::string synchronous_standby_names{};  ///< in force for new sessions
    std::string synchronous_commit{};
    std::vector<Slot> slots;
    std::optional<ControlData> control;  ///< read while the server is down, and after a promotion
    bool backup_label = false;
    bool pending_restart = false;
    std::string pending_restart_reason_json;  ///< {} when there is none

    bool running() const { return postmaster == Postmaster::running; }
    /// A client could get a write acknowledged.
    bool is_primary() const { return running() && accepts_connections && !in_recovery; }
    /// What counts in an election: max(received, replayed) on a standby, flushed on a primary.
    Lsn position() const { return in_recovery ? std::max(received, replayed) : written; }
};

/// What this node can do; changes only with its configuration.
struct ServerAbilities {
    bool can_rewind = false;  ///< use_pg_rewind, the binary, and wal_log_hints or checksums
    bool remove_data_on_rewind_failure = false;
    bool keep_damaged_data = false;  ///< remove_data_directory_on_rewind_failure is false in so many words
    bool remove_data_on_diverged_timelines = false;
    bool can_clone_without_leader = false;
    bool has_bootstrap_section = false;
};

const char* to_string(ControlState state);

}  // namespace pgkeel
