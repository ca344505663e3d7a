#pragma once
#include "async/task.hpp"
#include "base/clock.hpp"
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "base/server_state.hpp"
#include "base/sync_rule.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pgkeel::postgres {

/// Where a standby streams from.
struct Source {
    std::string name;  ///< member name; for logs
    std::string host;
    std::string port;
    std::string slot_name;  ///< empty: without a slot
    bool remote = false;    ///< another cluster's: who follows it leads a standby cluster. No host: its archive alone
    bool operator==(const Source&) const = default;
};

enum class StopMode { fast, immediate };

struct StopOptions {
    StopMode mode = StopMode::fast;
    bool checkpoint_first = false;  ///< so that the shutdown's own checkpoint is short
    bool urgent = false;            ///< the operator's script before_stop is not waited for
    /// So that the archive has all of this server's WAL: the segment in which it ends is archived as it is.
    bool archive_last_segment = false;
    /// Escalates fast → immediate → kill when it runs out.
    Duration timeout = std::chrono::seconds(60);
    /// Called once user backends are gone and pg_control says "shut down", with the shutdown checkpoint's position,
    /// although the postmaster may still be waiting for its archiver or a wal sender.
    std::function<void(Lsn)> on_shut_down;
};

struct StartOptions {
    bool as_primary = false;       ///< no standby.signal
    std::optional<Source> source;  ///< standby: primary_conninfo; none: recover from the archive alone
    Duration timeout = std::chrono::seconds(300);
    /// Asked just before the postmaster is started and just after: preparing may take longer than a lease lasts. When
    /// it says no the server is killed, and the call comes back with `cancelled`. None: always.
    std::function<bool()> allowed{};
};

/// A slot as another server has it.
struct PrimarysSlot {
    std::string name;
    std::string database{}, plugin{};  ///< empty: a physical one
    std::uint32_t catalog_xmin = 0;    ///< 0: none
    Lsn confirmed_flush{};
    std::string state{};  ///< the bytes of its file; empty unless asked for
};

/// WAL of this node that its leader's history does not have: what a former primary wrote after the new one had left its
/// timeline.
struct LostWal {
    Timeline timeline;       ///< that the leader left, and this node went on with
    Lsn begin;               ///< where
    Timeline last_timeline;  ///< of this node; `timeline` unless it was promoted since
    Lsn end;                 ///< of this node's WAL; its own shutdown checkpoint does not count

    std::uint64_t bytes() const { return end > begin ? end.bytes - begin.bytes : 0; }
    bool operator==(const LostWal&) const = default;
};

/// PostgreSQL on this node, as the agent drives it. The real one is LocalServer; the simulation has another.
/// One operation at a time, except `observe`, `kill_everything` and `reload`; none blocks the event loop.
class Server {
  public:
    virtual ~Server() = default;

    /// What can be seen now. Never fails: what did not answer before `deadline` is a fact of its own.
    virtual Task<ServerState> observe(Deadline deadline) = 0;
    /// Called on the event loop when the postmaster ends. Set once.
    virtual void on_exit(std::function<void()> callback) = 0;

    /// initdb or the configured bootstrap method; leaves an empty-handed server stopped. Errors: io_error,
    /// process_failed.
    virtual Task<Result<>> create_cluster() = 0;
    /// Users, rights and the post_bootstrap script on the running new cluster.
    virtual Task<Result<>> finish_bootstrap() = 0;
    /// Fills the empty data directory from `source`, or without one by methods that need no leader.
    virtual Task<Result<>> clone(std::optional<Member> source) = 0;
    /// Removes the data directory's content; `keep_as` renames it instead.
    virtual Task<Result<>> remove_data(std::string keep_as) = 0;

    /// Writes the configuration and starts. Comes back when connections are accepted. Errors: process_failed — the
    /// server ended; timed_out — it still starts.
    virtual Task<Result<>> start(StartOptions options) = 0;
    /// Stops, and waits until every backend is gone. Returns the shutdown checkpoint's position (zero after an
    /// immediate stop).
    virtual Task<Result<Lsn>> stop(StopOptions options) = 0;
    /// SIGKILL for every process of this server, postmaster frozen first so that it cannot fork. Comes back when none
    /// is left.
    virtual Task<> kill_everything() = 0;
    /// Asks for promotion and waits until it is writable. Errors: timed_out, process_failed.
    virtual Task<Result<>> promote(Duration timeout) = 0;
    /// Gives up a running clone, bootstrap or rewind: its call comes back with `cancelled`.
    virtual void cancel() = 0;
    /// CHECKPOINT.
    virtual Task<Result<>> checkpoint() = 0;
    /// Makes a running standby stream from `source`; restarts it if its version must.
    virtual Task<Result<>> follow(std::optional<Source> source) = 0;
    /// Whether and how this node's history left that of `leader`; see ha/rewind.hpp for the rule.
    struct Divergence {
        bool needs_rewind = false;
        std::string why;
        /// With needs_rewind: what only this node has. Zero where it is not known.
        LostWal lost{};
    };
    virtual Task<Result<Divergence>> compare_history(Member leader, ServerState here) = 0;
    /// Of the cluster that `source` serves now, asked as its standbys ask. Errors: it does not answer.
    virtual Task<Result<std::string>> system_identifier_of(Member source) = 0;
    /// Copies the WAL that `lost` tells of out of the data directory, so that a rewind or a fresh copy does not take it
    /// away. The server is down. Without anything to do it returns an empty directory. Errors: unsafe — it has to be
    /// kept, and could not be.
    struct KeptWal {
        std::string directory;
        std::uint64_t bytes = 0;  ///< of the files
        bool whole = true;        ///< false: the oldest part of it, as much as may be kept
        Lsn end{};                ///< where what the server itself wrote ends, when that could be read; else zero
        std::string why_not{};    ///< it is not kept
    };
    virtual Task<Result<KeptWal>> keep_lost_wal(LostWal lost) = 0;
    virtual Task<Result<>> rewind(Member leader) = 0;
    /// Replays WAL in single-user mode, so that pg_rewind finds a clean shutdown.
    virtual Task<Result<>> recover_single_user() = 0;

    /// Writes the configuration files for the dynamic configuration given and reloads a running server.
    virtual Task<Result<>> apply_configuration(std::string dynamic_config_json, bool force_reload) = 0;
    /// Whom commits wait for; nothing: what the configuration says. A running server is reloaded, and it comes back
    /// when new sessions see the value: then no process is left that has not been told, though one may not have
    /// listened yet. A server that is down starts with it, if it starts as a primary.
    virtual Task<Result<>> set_synchronous_standbys(std::optional<SyncRule> rule) = 0;
    /// Writes something into the WAL of a primary and flushes it here, without waiting for a standby. Returns a
    /// position in it: a standby that has flushed that far heard from its wal sender after this call.
    virtual Task<Result<Lsn>> write_mark() = 0;
    /// Commits something that waits for standbys as any commit does. Errors also: timed_out — they did not answer.
    virtual Task<Result<>> commit_barrier(Duration timeout) = 0;
    /// Ends one wal sender; its standby connects again.
    virtual Task<Result<>> end_wal_sender(int pid) = 0;
    virtual Task<Result<>> create_slot(std::string name) = 0;
    virtual Task<Result<>> drop_slot(std::string name) = 0;
    /// A slot of a database can be advanced in that database only; physical ones have none. Errors: not_found — the WAL
    /// it begins with is not here.
    virtual Task<Result<>> advance_slot(std::string name, std::string database, Lsn to) = 0;
    /// Waits until the transactions that run now have ended. Errors: also already_exists.
    virtual Task<Result<>> create_logical_slot(std::string name, std::string database, std::string plugin) = 0;
    /// Slots as the primary `leader` has them; those that do not exist are left out. `with_state`: their files too.
    virtual Task<Result<std::vector<PrimarysSlot>>> slots_of(Member leader, std::vector<std::string> names,
                                                             bool with_state) = 0;
    /// Makes or replaces logical slots from their files. The server must be down: it reads them when it starts.
    virtual Task<Result<>> install_slots(std::vector<PrimarysSlot> slots) = 0;
    /// hot_standby_feedback is on, whatever the configuration says: copies of logical slots need it.
    virtual Task<Result<>> force_hot_standby_feedback(bool forced) = 0;

    /// `timeline,lsn,reason` lines of the current timeline's history file, oldest first.
    virtual Task<Result<std::vector<HistoryEntry>>> timeline_history(Timeline timeline) = 0;

    /// 150018: of the programs that the next start will use; 0: unknown.
    virtual Task<int> installed_version(Deadline deadline) = 0;

    using Abilities = ServerAbilities;
    virtual Abilities abilities() const = 0;
};

}  // namespace pgkeel::postgres
