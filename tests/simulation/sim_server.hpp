#pragma once
#include "async/clock.hpp"
#include "postgres/server.hpp"
#include "simulation/machine.hpp"

namespace pgkeel::simulation {

class Cluster;

/// What an agent sees and moves of its machine.
class SimServer final : public postgres::Server {
  public:
    SimServer(Cluster& cluster, Machine& machine, Clock& clock) : cluster_(cluster), machine_(machine), clock_(clock) {}

    Task<ServerState> observe(Deadline deadline) override;
    void on_exit(std::function<void()> callback) override { exited_ = std::move(callback); }
    void exited() const {
        if (exited_) exited_();
    }
    Task<Result<>> create_cluster() override;
    Task<Result<>> finish_bootstrap() override;
    Task<Result<>> clone(std::optional<Member> source) override;
    Task<Result<>> remove_data(std::string keep_as) override;
    Task<Result<>> start(postgres::StartOptions options) override;
    Task<Result<Lsn>> stop(postgres::StopOptions options) override;
    Task<> kill_everything() override;
    Task<Result<>> promote(Duration timeout) override;
    void cancel() override { cancelled_ = true; }
    Task<Result<>> checkpoint() override;
    Task<Result<>> follow(std::optional<postgres::Source> source) override;
    Task<Result<Divergence>> compare_history(Member leader, ServerState here) override;
    Task<Result<std::string>> system_identifier_of(Member source) override;
    Task<Result<>> rewind(Member leader) override;
    Task<Result<>> recover_single_user() override;
    Task<Result<>> apply_configuration(std::string, bool) override { co_return Result<>{}; }
    Task<Result<>> set_synchronous_standbys(std::optional<SyncRule> rule) override;
    Task<Result<Lsn>> write_mark() override;
    Task<Result<>> commit_barrier(Duration timeout) override;
    Task<Result<>> end_wal_sender(int pid) override;
    Task<Result<>> create_slot(std::string name) override;
    Task<Result<>> drop_slot(std::string name) override;
    Task<Result<>> advance_slot(std::string, std::string, Lsn) override { co_return Result<>{}; }
    Task<Result<>> create_logical_slot(std::string, std::string, std::string) override { co_return Result<>{}; }
    Task<Result<std::vector<postgres::PrimarysSlot>>> slots_of(Member, std::vector<std::string>, bool) override {
        co_return std::vector<postgres::PrimarysSlot>{};
    }
    Task<Result<>> install_slots(std::vector<postgres::PrimarysSlot>) override { co_return Result<>{}; }
    Task<Result<>> force_hot_standby_feedback(bool) override { co_return Result<>{}; }
    Task<Result<std::vector<HistoryEntry>>> timeline_history(Timeline) override { co_return machine_.history; }
    Task<Result<KeptWal>> keep_lost_wal(postgres::LostWal) override { co_return KeptWal{}; }
    Task<int> installed_version(Deadline) override { co_return 0; }
    Abilities abilities() const override { return {.can_rewind = true, .has_bootstrap_section = true}; }

  private:
    Task<> pass(Duration low, Duration high);
    Cluster& cluster_;
    Machine& machine_;
    Clock& clock_;
    std::function<void()> exited_;
    bool cancelled_ = false;
};

}  // namespace pgkeel::simulation
