#pragma once
#include "agent/failsafe.hpp"
#include "agent/fences.hpp"
#include "agent/flight_recorder.hpp"
#include "agent/lease_keeper.hpp"
#include "agent/scripts.hpp"
#include "agent/storage.hpp"
#include "agent/sync_keeper.hpp"
#include "async/clock.hpp"
#include "async/event.hpp"
#include "cluster/keys.hpp"
#include "cluster/lost_wal.hpp"
#include "cluster/peer.hpp"
#include "cluster/watched_keys.hpp"
#include "etcd/store.hpp"
#include "ha/decide.hpp"
#include "ha/slots.hpp"
#include "postgres/server.hpp"

#include <boost/json/object.hpp>

#include <functional>
#include <optional>
#include <string>

namespace pgkeel::agent {

/// The outside of a node. All but the real ones exist in the simulation too.
struct Outside {
    asio::any_io_executor executor;
    Clock& clock;
    etcd::Store& store;
    postgres::Server& server;
    cluster::Peers& peers;
    Scripts& scripts;
    Fences& fences = no_fences();
    Storage& storage = sound_storage();
};

/// Who this node is; changes with a reload of its file.
struct Identity {
    std::string name;
    std::string scope;
    std::string id;  ///< of this process: owns `initialize` while it bootstraps
    Tags tags;
    boost::json::object published_tags;
    std::string conn_url, proxy_url, api_url;
    std::string data_directory{};  ///< for messages
    std::string version;           ///< the Patroni whose contract is kept: peers compare it
};

/// Filters of POST /restart; empty ones match.
struct RestartRequest {
    std::string schedule;  ///< ISO 8601; empty: now
    std::string role;      ///< primary, replica or standby_leader
    int version_below = 0;
    bool only_pending = false;
    std::optional<Duration> timeout;
    boost::json::object as_given;  ///< what the member key and GET /patroni show of a scheduled one
};

/// One node of the cluster: looks, decides (ha::decide), and does. The only place where the decision core meets the
/// outside.
class Node {
  public:
    Node(Outside outside, cluster::Keys keys, Identity identity, std::string initial_config_json);
    ~Node();

    /// Runs until `shut_down` is over or nothing can be done any more. Errors: what made going on impossible.
    Task<Result<>> run();
    /// Stops the server in order, gives the lease up and ends `run`; in a paused cluster leaves the server alone.
    void shut_down();
    void wake() { wake_.set(); }

    // What the REST API shows.
    const ha::Snapshot& last() const { return seen_; }
    /// Of `last().server`: since it was asked.
    Duration age_of_server() const { return out_.clock.now() - server_asked_at_; }
    const Identity& identity() const { return identity_; }
    bool holds_lease() const;
    bool watchdog_failed() const { return out_.fences.watchdog_failed(); }
    /// False: this primary may show its clients what is not on its synchronous standbys yet.
    bool is_open() const { return seen_.settings.synchronous_mode == SynchronousMode::off || sync_.is_open(); }
    /// When this leader must have stopped unless it renews its lease; nothing while it does not hold it.
    std::optional<Instant> lease_deadline() const {
        return keeper_.held() ? std::optional(keeper_.held()->deadline()) : std::nullopt;
    }
    /// "running", "creating replica", … (Patroni's words)
    std::string state() const;
    Role role() const;
    /// \param seen  the last snapshot, with fresher answers of the other members if there are any
    boost::json::object decisions(const ha::Snapshot& seen) const { return recorder_.report(seen); }
    /// False when the loop has not come round for too long.
    bool is_alive() const;
    WallTime store_last_seen() const { return store_last_seen_; }
    const std::optional<RestartRequest>& scheduled_restart() const { return scheduled_restart_; }
    const std::string& dynamic_config() const { return dynamic_config_; }
    const cluster::Keys& keys() const { return keys_; }

    struct RestartOutcome {
        int status = 200;  ///< of HTTP
        std::string text;
    };
    /// This leader goes on without etcd, or has let another do so.
    bool failsafe_is_active() const { return failsafe_.is_active(seen_); }
    /// The members as etcd had them last: it may be gone.
    const std::vector<Member>& known_members() const { return known_members_; }

    // What the REST API asks for.
    /// POST /failsafe by a leader without etcd.
    RestartOutcome accept_failsafe(const cluster::FailsafeCall& call);
    Task<RestartOutcome> restart(RestartRequest request);
    bool cancel_scheduled_restart();
    void schedule_restart(RestartRequest request);
    /// 200 or 503 and Patroni's text.
    RestartOutcome reinitialize(bool force, bool from_leader);
    /// The file was read again: publish at once. `change_server` gives the server its new configuration; it is called,
    /// until it says true, at moments when no operation runs, because an operation keeps what it has read of it over
    /// its waits. Then PostgreSQL's files are written and it is signalled in any case.
    void reload(Identity identity, std::function<bool()> change_server);

  private:
    Task<> cycle();
    Task<> look();
    Task<> read_view();
    bool watch_will_do() const;
    void use_keys(const std::vector<etcd::KeyValue>& values, etcd::Revision revision);
    Task<> observe_server();
    Task<> use_dynamic_config();

    // node_fencing.cpp
    Task<> keep_fences();
    Task<Result<>> arm_fences(pid_t postmaster);
    void note_unfenced(bool taking);
    Task<bool> fence_earlier_leaders();

    /// True: look at the changed facts and decide again at once.
    Task<bool> apply(const ha::Decision& decision);
    void start_operation(const ha::Action& action);
    Task<> release_lease(ha::Reason reason);
    Task<> clear_failover(std::int64_t mod_revision);
    Task<> ask_peers(std::vector<std::string> names);
    Task<> ask_peer(Member member, Deadline deadline);
    Task<> publish_member();
    Task<> keep_slots();
    ha::SlotQuestion slot_question() const;
    bool complain_once(const std::string& slot, const Result<>& done);
    void move_logical_slots(ha::SlotChanges changes);
    Task<> work_on_logical_slots(ha::SlotChanges changes);
    Task<> prove_copies();
    const Slot* own_slot(const std::string& name) const;
    Task<> run_due_restart();
    Task<> watch_forever();
    void heard_of(const etcd::WatchEvent& event);
    Task<> shut_down_server();
    void note(const ha::Decision& decision);
    void took_over();
    /// Calls on_role_change when the role is not the one the callbacks know, else `otherwise`.
    void tell_role(Callback otherwise);
    StatusKey status_to_publish() const;
    std::string member_json() const;

    void start(ha::Operation kind, Task<> body);
    Task<> run_operation(Task<> body);
    void fence(const std::string& why);
    Task<> end_fenced();

    // The operations: each runs as a task of its own, one at a time (operations.cpp).
    Task<> bootstrap();
    Task<std::string> create_primary();
    Task<std::string> create_standby_leader();
    Task<std::string> open_cluster();
    Task<> fail_bootstrap(std::string why);
    Task<> clone(std::string from);
    Task<> start_server(bool as_primary, std::string follow);
    Task<bool> start_standby(std::string follow);
    Task<> bring_to_rest();
    Task<> rejoin(std::string leader);
    Task<bool> heal_history(Member leader, std::string why);

    // node_losses.cpp
    void heed_leader();
    std::optional<cluster::LostWalReport> account_for(const HistoryEntry& parting) const;
    Task<bool> keep_lost_wal();
    Task<> tell_lost_wal(cluster::LostWalReport report);
    Task<> promote();
    Task<> demote(ha::Demote how);
    Task<> release_when_received(Lsn shutdown_position, std::string candidate);
    Task<> follow(std::string source);
    void tell_slots();
    void note_slots_without_store();
    void move_slots_without_store(std::map<std::string, Lsn> slots);
    Task<> advance_slots(std::map<std::string, Lsn> slots);
    /// A synchronous standby that is about to go away: others should take its place before.
    Task<> leave_sync_duty();
    Task<bool> can_be_copied(std::string source);
    Task<> reinitialize_from(std::string source);
    Task<> restart_server(Duration timeout);
    Task<> copy_slots(std::vector<ha::SlotChanges::Logical> wanted);
    Task<> checkpoint_after_promote();
    void make_up_for_checkpoint();
    Task<> update_history();
    bool note_comparison(const std::string& with, std::int64_t epoch, const postgres::Server::Divergence& found);
    Task<> compare_history(std::string leader);
    /// Asked at the last moment: whether the server may (still) be started so.
    std::function<bool()> start_guard(bool as_primary);
    std::optional<postgres::Source> source_of(const std::string& name) const;
    std::optional<Member> whose_history(const std::string& name) const;

    Outside out_;
    cluster::Keys keys_;
    Identity identity_;
    LeaseKeeper keeper_;
    SyncKeeper sync_;
    Failsafe failsafe_;
    FlightRecorder recorder_;
    ha::Snapshot seen_;
    Event wake_;
    Event view_changed_;

    std::string dynamic_config_;  ///< JSON text in force
    std::string applied_config_;  ///< what the server's files were last written for
    bool clamped_ = false;        ///< settings were read with Patroni's floor for ttl
    bool force_reload_ = false;
    std::function<bool()> change_server_;  ///< of a reload that waits for the end of an operation
    std::string published_member_;
    etcd::LeaseId published_lease_ = 0;
    std::optional<RestartRequest> scheduled_restart_;
    Instant schedule_wakes_at_ = Instant::max();
    RestartOutcome restart_result_;
    std::shared_ptr<Event>
        restart_done_;  ///< set when the running restart has ended; shared with the request that waits
    bool reinit_from_leader_ = false;
    bool leaving_sync_duty_ = false;   ///< the member key says nosync meanwhile
    bool checkpoint_pending_ = false;  ///< promoted, and not checkpointed yet
    std::optional<Role> called_role_;  ///< the role the callbacks were last told
    bool demoted_ = false;             ///< crashed as a leader and could not be started
    std::string operation_state_;      ///< the member state while an operation runs
    bool operation_ended_ = false;     ///< since the last look
    bool after_operation_ = false;     ///< that is why there is a look now
    std::vector<Member> known_members_;
    std::string known_leader_;  ///< as etcd had it last
    std::optional<SyncKey> known_sync_;
    /// When `seen_.peers` were asked: the epoch of the leader key (0: there is none), and the key `sync`, which every
    /// new leader writes, also one whose whole reign went by between two looks.
    std::pair<std::int64_t, etcd::Revision> reign_{};
    std::vector<std::string> unfenced_;         ///< see StatusKey::unfenced
    std::map<std::string, std::string> hosts_;  ///< by member: where it was seen last
    ha::SlotMemory slot_memory_;
    std::map<std::string, std::string> slot_complaints_;  ///< by slot: what was said last
    /// Whoever led before this node, as far as it is known to have written.
    struct EarlierLeader {
        std::string name;
        std::int64_t epoch = 0;
        Lsn position;
        bool released = false;  ///< it had stopped when it gave up the lease
    };
    EarlierLeader earlier_leader_;
    postgres::LostWal lost_wal_;  ///< as histories were last compared
    bool logical_slots_busy_ = false;
    std::map<std::string, Lsn> told_slots_;  ///< what the key `status` shows of them, or would if etcd answered
    bool failsafe_slots_busy_ = false;
    Instant retry_copy_at_{};
    Instant retry_proof_at_{};
    bool copies_known_ = false;
    /// Copies of logical slots that the primary does not yet keep everything for, with the catalog_xmin of the original
    /// when that was first known.
    std::map<std::string, std::optional<std::uint32_t>> unproven_slots_;
    WallTime store_last_seen_{};
    cluster::WatchedKeys watched_;
    etcd::Revision watch_from_ = 0;
    std::uint64_t watch_streams_ = 0;  ///< begun until now
    std::uint64_t watch_stream_ = 0;   ///< the one that has told something, and has not broken; 0: none
    bool watch_is_whole_ = false;      ///< the keys were read while it told: nothing is missing in `watched_`
    Instant watch_heard_at_{};
    Instant keys_read_at_{};
    Instant keys_missed_at_{};             ///< when a read ended without an answer
    Instant read_again_ = Instant::max();  ///< after a look that did without
    bool only_a_tick_ = false;             ///< the loop has come round because of the time, not of any news
    Instant last_cycle_{};
    Instant server_asked_at_{};  ///< for seen_.server
    Instant look_again_ = Instant::max();
    Instant last_line_{};
    bool stopping_ = false;
    bool finished_ = false;
    bool fencing_ = false;
    std::optional<Error> fatal_;
};

}  // namespace pgkeel::agent
