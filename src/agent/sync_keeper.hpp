#pragma once
#include "agent/lease_keeper.hpp"
#include "agent/led_key.hpp"
#include "ha/sync_candidates.hpp"
#include "postgres/server.hpp"

#include <functional>
#include <optional>
#include <string>

namespace pgkeel::agent {

/// The leader's work for synchronous replication: brings synchronous_standby_names and the key `sync` to where the
/// settings and the standbys want them, one step of ha::next_sync_step after the other, each a task of its own. The
/// argument is docs/decisions/0008-synchronous.md.
class SyncKeeper {
  public:
    struct Parts {
        asio::any_io_executor executor;
        Clock& clock;
        etcd::Store& store;
        postgres::Server& server;
        const cluster::Keys& keys;
        LeaseKeeper& lease;
        std::function<void()> wake;  ///< a step has ended: look again
    };
    SyncKeeper(Parts parts, std::string name);

    /// With every look at the cluster: begins the next step, unless one is under way.
    void consider(const ha::Snapshot& seen);
    /// Before the server is started or promoted as a primary: it gets the rule that goes with the key `sync`, so that
    /// its first commit waits for the right ones. Errors: it must not take writes yet.
    /// \param sync  the key as it was read last
    Task<Result<>> prepare(std::optional<SyncKey> sync, ClusterSettings settings);

    /// Everything that this primary shows its clients is where the rule wants it: what a crashed or promoted server had
    /// in its WAL was acknowledged to nobody, maybe.
    bool is_open() const { return open_; }
    /// When something may have changed that nobody tells.
    Instant look_again() const { return look_again_; }

  private:
    void begin_tenure(const ha::Snapshot& seen);
    void run(Task<> step);
    Task<> run_step(Task<> step);
    void turn_off(const ha::Snapshot& seen);
    void keep(const ha::Snapshot& seen);
    Task<> set_names(SyncRule rule);
    Task<bool> write_mark();
    Task<> confirm_names();
    Task<> end_stalled(std::vector<int> senders);
    Task<> write_key(SyncKey sync, etcd::Revision mod_revision);
    Task<> remove_key(etcd::Revision mod_revision);
    Task<> restore_names();
    Task<> pass_barrier();
    bool leads() const { return parts_.lease.held() && parts_.lease.held()->epoch == epoch_; }
    void failed(const std::string& what, const Error& error);

    Parts parts_;
    std::string name_;
    LedKey key_;
    ha::SyncState state_;
    ha::SyncMemory memory_;
    std::optional<SyncRule> set_rule_;  ///< the last that the server was given
    std::int64_t rule_epoch_ = 0;       ///< … under this lease
    std::vector<int> senders_;          ///< wal senders that may work under an older rule
    Lsn mark_;                          ///< written after the last rule was set; zero: not yet
    Instant marked_at_{};
    std::int64_t epoch_ = 0;      ///< of the tenure; 0: none
    std::string server_started_;  ///< postmaster_start_time of the tenure
    bool busy_ = false;
    bool passing_barrier_ = false;
    bool open_ = true;
    bool restored_ = false;  ///< synchronous mode is off, and the server has its own names back
    bool nobody_left_ = false;
    Duration ttl_{};
    Instant retry_at_{};
    Instant step_ended_at_{};  ///< what was seen before may be from before the step
    Instant look_again_ = Instant::max();
};

}  // namespace pgkeel::agent
