#pragma once
#include "async/workers.hpp"
#include "config/agent_config.hpp"
#include "postgres/bootstrap.hpp"
#include "postgres/configuration_files.hpp"
#include "postgres/installed_version.hpp"
#include "postgres/observer.hpp"
#include "postgres/pending_restart.hpp"
#include "postgres/programs.hpp"
#include "postgres/server.hpp"

#include <memory>
#include <optional>
#include <string>

namespace pgkeel::postgres {

/// The PostgreSQL server of this node. It outlives this object: a new one adopts it. The sources: local_server.cpp sees
/// and says, local_configuration.cpp writes, local_passwords.cpp changes passwords, local_sync.cpp sets synchronous
/// standbys, local_start.cpp, local_stop.cpp, local_promote.cpp, local_slots.cpp and local_data.cpp do what they are
/// called.
class LocalServer final : public Server {
  public:
    /// `clock`, `workers` and `agent` outlive it.
    LocalServer(asio::any_io_executor executor, Clock& clock, Workers& workers, const config::AgentConfig& agent);
    ~LocalServer() override;

    Task<ServerState> observe(Deadline deadline) override;
    void on_exit(std::function<void()> callback) override;

    Task<Result<>> create_cluster() override;
    Task<Result<>> finish_bootstrap() override;
    Task<Result<>> clone(std::optional<Member> source) override;
    Task<Result<>> remove_data(std::string keep_as) override;

    Task<Result<>> start(StartOptions options) override;
    Task<Result<Lsn>> stop(StopOptions options) override;
    Task<> kill_everything() override;
    Task<Result<>> promote(Duration timeout) override;
    Task<Result<>> checkpoint() override;
    Task<Result<>> follow(std::optional<Source> source) override;
    Task<Result<Divergence>> compare_history(Member leader, ServerState here) override;
    Task<Result<std::string>> system_identifier_of(Member source) override;
    Task<Result<KeptWal>> keep_lost_wal(LostWal lost) override;
    Task<Result<>> rewind(Member leader) override;
    Task<Result<>> recover_single_user() override;

    Task<Result<>> apply_configuration(std::string dynamic_config_json, bool force_reload) override;
    Task<Result<>> set_synchronous_standbys(std::optional<SyncRule> rule) override;
    Task<Result<Lsn>> write_mark() override;
    Task<Result<>> commit_barrier(Duration timeout) override;
    Task<Result<>> end_wal_sender(int pid) override;
    Task<Result<>> create_slot(std::string name) override;
    Task<Result<>> drop_slot(std::string name) override;
    Task<Result<>> advance_slot(std::string name, std::string database, Lsn to) override;
    Task<Result<>> create_logical_slot(std::string name, std::string database, std::string plugin) override;
    Task<Result<std::vector<PrimarysSlot>>> slots_of(Member leader, std::vector<std::string> names,
                                                     bool with_state) override;
    Task<Result<>> install_slots(std::vector<PrimarysSlot> slots) override;
    Task<Result<>> force_hot_standby_feedback(bool forced) override;
    Task<Result<std::vector<HistoryEntry>>> timeline_history(Timeline timeline) override;
    Task<int> installed_version(Deadline deadline) override { co_return co_await installed_.look(deadline); }
    Abilities abilities() const override { return abilities_; }

    // local_passwords.cpp: passwords of our own roles that change while everything runs.
    /// What this server stores of the passwords of roles, by name; a role that is not there is left out.
    Task<Result<std::map<std::string, std::string>>> stored_passwords(std::vector<std::string> roles);
    /// Gives the roles their passwords where they have others, in one transaction that commits as any other does (it
    /// waits for synchronous standbys). The server gets verifiers, never a password. Errors: unavailable — this is no
    /// primary; maybe_done, timed_out — look again.
    Task<Result<>> set_passwords(std::map<std::string, std::string> passwords);
    /// Every login of this agent works with the first of its passwords alone, and this server has replayed them.
    /// `leader`: who takes our replication and rewind logins; nothing: this server does. Errors: unavailable — not yet.
    Task<Result<>> prove_passwords(std::optional<Member> leader);
    /// Makes the password file of a standby's wal receiver what its source takes, and wakes up one that was refused.
    Task<> renew_passfile();

    void cancel() override;
    /// A worker thread reads the configuration: it must not change now.
    bool writes_files() const { return writing_ > 0; }

  private:
    // local_server.cpp
    Login login_for(const FileFacts& facts, std::string application_name) const;
    Task<Result<std::unique_ptr<Connection>>> connect(std::string application_name,
                                                      std::chrono::milliseconds statement_timeout, Deadline deadline,
                                                      std::string database = {});
    /// On the observer's connection, or on one of its own when that is not open.
    Task<Result<SqlRows>> sql(std::string statement, std::vector<std::string> parameters);
    Task<PostmasterFound> find_server();
    void watch(pid_t postmaster);
    Task<> refresh_abilities();
    void remember_timeline(ServerState& state);
    Task<> refresh_pending_restart(Deadline deadline);
    bool reload_server(pid_t postmaster) const;
    Cancel& begin_operation();
    Task<Result<int>> archive_completed_wal(const Parameters& parameters, Deadline deadline, Cancel& cancel);

    // local_configuration.cpp
    Role role_of(bool as_primary, const std::optional<Source>& source) const;
    Task<Result<>> load_configuration();
    Task<Parameters> parameters_for(Role role, std::optional<Source> source);
    Task<Result<bool>> write_configuration(Role role, Parameters parameters, std::optional<Source> source);
    Task<Result<bool>> rewrite_running();
    Task<> rewrite_when_known();
    void mind_passfile(const ServerState& state);

    // local_sync.cpp
    void add_synchronous_standbys(Role role, ParameterMap& overrides) const;
    struct Probe;
    Task<Result<>> give_names(std::optional<SyncRule> rule);
    Task<Result<>> set_first_standbys(SyncRule rule);
    Task<bool> checkpointer_is_idle(Deadline deadline);
    Task<Result<>> wait_until_shown(std::string value, Deadline deadline);

    // local_start.cpp
    Task<Result<>> launch_postmaster(const Parameters& parameters, Deadline deadline);
    Task<Result<>> wait_until_open(pid_t postmaster, bool needs_end_of_recovery, Deadline deadline);

    // local_stop.cpp
    Task<bool> wait_for_exit(pid_t postmaster, Deadline deadline, std::function<void(Lsn)>& on_shut_down);
    Task<> kill_what_remains();
    Task<> archive_segment_of_shutdown(std::string segment);

    asio::any_io_executor executor_;
    Clock& clock_;
    Workers& workers_;
    Timeline streamed_timeline_;     ///< the newest of this start of the standby
    std::string timeline_of_start_;  ///< postmaster_start_time
    const config::AgentConfig& agent_;
    Programs programs_;
    InstalledVersion installed_{programs_};
    ConfigurationFiles files_;
    Observer observer_;

    std::function<void()> on_exit_;
    std::unique_ptr<ExitWatch> exit_watch_;
    std::optional<ServerProcess>
        started_;  ///< the postmaster that we started; it may not have entered its directory yet
    std::shared_ptr<Cancel> cancel_;
    int writing_ = 0;  ///< configuration files are being written

    std::optional<std::string> synchronous_standbys_;  ///< nothing: the configuration's own
    bool synchronous_standbys_known_ = false;          ///< false after adopting a primary: then its own are kept
    bool standbys_proven_ = false;                     ///< it was seen that commits wait for them
    int steered_ = 0;                                  ///< a start or a stop is under way
    bool renewing_passfile_ = false;
    Instant renew_passfile_at_{};
    bool rewriting_ = false;  ///< from reading what is to be written to having written it
    Event rewritten_;

    json::object dynamic_;
    bool has_dynamic_ = false;
    Parameters parameters_;            ///< as last written
    Role role_ = Role::uninitialized;  ///< as last written or seen
    std::optional<Source> source_;
    bool feedback_forced_ = false;
    bool source_known_ = false;  ///< false after adopting a standby: then its own settings are kept
    bool rewrite_pending_ =
        false;  ///< the configuration is newer than the files, and the server could not be asked yet
    std::optional<Bootstrapped> bootstrapped_;
    std::vector<std::string> warned_;
    ServerState last_;  ///< as last answered
    json::object pending_restart_;
    /// Until the configuration is known, nothing is thrown away.
    Abilities abilities_ = [] {
        Abilities abilities;
        abilities.keep_damaged_data = true;
        return abilities;
    }();
};

/// One more while it lives.
class Counted {
  public:
    explicit Counted(int& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    int& count_;
};

/// Whose files PostgreSQL's are: nobody else's, unless we are root. Then the owner of the data directory, or user
/// postgres.
Account account_for(const std::string& data_directory);

}  // namespace pgkeel::postgres
