#pragma once
#include "agent/node.hpp"
#include "agent/rest/api.hpp"
#include "base/version.hpp"
#include "ha/slots.hpp"
#include "support/event_loop.hpp"
#include "support/memory_store.hpp"

#include <map>
#include <memory>
#include <string>

// Real nodes on an etcd in memory, with PostgreSQL servers that are only numbers: they start, stop, promote and stream
// from each other at once.

namespace pgkeel::test {

class FakeServer;

struct FakeServers {
    std::map<std::string, FakeServer*> by_name;
    std::map<std::string, agent::Node*> nodes;  ///< who answers POST /failsafe
    std::string system_identifier = "7000000000000000001";
};

class FakeServer final : public postgres::Server {
  public:
    FakeServer(FakeServers& all, std::string name) : all_(all), name_(std::move(name)) { all_.by_name[name_] = this; }
    ~FakeServer() override { all_.by_name.erase(name_); }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    bool running = false;
    bool remains = false;  ///< the postmaster is gone, and one of its processes is not
    bool as_primary = false;
    bool pending_restart = false;
    std::string follows{};
    Lsn position{};
    Timeline timeline{1};
    bool has_data = false;
    bool damaged = false;                                 ///< a rewind was interrupted in it
    bool hides_identifier = false;                        ///< pg_control cannot be read
    std::string port{}, unix_socket{}, unix_socket_id{};  ///< what postmaster.pid says
    int restarts = 0;
    std::optional<Timeline> checkpointed{};  ///< what pg_control of a running primary shows; nothing: it is not read
    std::function<void()> before_start{};    ///< what happens while a start is prepared

    /// Somebody writes; a standby that streams has it at once.
    void write(std::uint64_t bytes) { position.bytes += bytes; }
    void kill_postmaster() {
        running = false;
        if (on_exit_) on_exit_();
    }

    Task<ServerState> observe(Deadline) override {
        ServerState state;
        state.data_directory = has_data ? DataDirectory::present : DataDirectory::empty;
        if (has_data && damaged && !running) state.data_directory = DataDirectory::damaged;
        if (!has_data) co_return state;
        if (!hides_identifier) state.system_identifier = all_.system_identifier;
        state.standby_signal = !as_primary;
        ControlData control;
        control.state = !as_primary ? ControlState::shut_down_in_recovery
                        : clean_    ? ControlState::shut_down
                                    : ControlState::in_production;
        if (!running) state.control = control;
        if (!running && remains) state.postmaster = Postmaster::remains;
        if (!running) co_return state;
        const FakeServer* source = streaming_from();
        if (source != nullptr) {
            position = source->position;
            timeline = source->timeline;
        }
        state.postmaster = Postmaster::running;
        state.port = port;
        state.unix_socket = unix_socket;
        state.unix_socket_id = unix_socket_id;
        state.accepts_connections = true;
        state.in_recovery = !as_primary;
        state.version_number = 150020;
        state.postmaster_start_time = "2026-11-21 02:03:04.500000+00:00";
        state.timeline = timeline;
        state.pending_restart = pending_restart;
        state.pending_restart_reason_json =
            pending_restart ? R"({"max_connections":{"old_value":"100","new_value":"101"}})" : "{}";
        if (as_primary && checkpointed) {
            control.checkpoint_timeline = *checkpointed;
            state.control = control;
        }
        if (as_primary) state.written = position;
        if (!as_primary) state.received = state.replayed = state.latest_end = position;
        if (source != nullptr) state.replication_state = "streaming";
        for (const auto& [other, server] : all_.by_name) {
            const auto own = slot(ha::slot_name(other));
            if (own == slots.end()) continue;
            own->active = server->streaming_from() == this;
            if (own->active) own->restart_lsn = server->position;
        }
        state.slots = slots;
        for (const auto& [other, server] : all_.by_name)
            if (as_primary && server->streaming_from() == this)
                state.replication.push_back({1, "replicator", other, "127.0.0.1", "streaming", "async", 0, position,
                                             position, position, position});
        state.synchronous_standby_names = to_setting(names);
        co_return state;
    }
    SyncRule names{};                 ///< synchronous_standby_names
    postgres::StopOptions last_stop;  ///< how it was asked to stop
    Task<Result<>> set_synchronous_standbys(std::optional<SyncRule> rule) override {
        names = rule.value_or(SyncRule{});
        co_return Result<>{};
    }
    Task<Result<Lsn>> write_mark() override { co_return position; }
    Task<Result<>> commit_barrier(Duration) override { co_return Result<>{}; }
    Task<Result<>> end_wal_sender(int) override { co_return Result<>{}; }
    void on_exit(std::function<void()> callback) override { on_exit_ = std::move(callback); }
    Task<Result<>> create_cluster() override {
        has_data = true;
        as_primary = true;
        position = Lsn{0x1000000};
        co_return Result<>{};
    }
    Task<Result<>> finish_bootstrap() override { co_return Result<>{}; }
    Task<Result<>> clone(std::optional<Member> source) override {
        has_data = true;
        as_primary = false;
        const auto from = source ? all_.by_name.find(source->name) : all_.by_name.end();
        position = from != all_.by_name.end() ? from->second->position : Lsn{0x1000000};
        co_return Result<>{};
    }
    Task<Result<>> remove_data(std::string) override {
        ++removals_tried;
        if (!removes) co_return fail(Errc::io_error, "cannot remove a file");
        has_data = damaged = false;
        co_return Result<>{};
    }
    Task<Result<>> start(postgres::StartOptions options) override {
        if (before_start) before_start();
        if (options.allowed && !options.allowed()) co_return fail(Errc::cancelled, "not allowed any more");
        running = true;
        clean_ = false;
        pending_restart = false;
        ++restarts;
        as_primary = options.as_primary;
        follows = options.source ? options.source->name : "";
        co_return Result<>{};
    }
    Task<Result<Lsn>> stop(postgres::StopOptions options) override {
        running = false;
        clean_ = options.mode == postgres::StopMode::fast;
        last_stop = options;
        if (as_primary && clean_) position.bytes += 1;  // the shutdown checkpoint; standbys below receive it first
        for (auto& [other, server] : all_.by_name)
            if (clean_ && server->running && server->follows == name_) server->position = Lsn{position.bytes + 1};
        if (options.on_shut_down && clean_) options.on_shut_down(position);
        co_return position;
    }
    Task<> kill_everything() override {
        running = remains = false;
        co_return;
    }
    Task<Result<>> promote(Duration) override {
        as_primary = true;
        history_.push_back({timeline, position, "no recovery target specified", "", ""});
        ++timeline.id;
        co_return Result<>{};
    }
    void cancel() override {}
    Task<Result<>> checkpoint() override {
        if (checkpointed) checkpointed = timeline;
        co_return Result<>{};
    }
    Task<Result<>> follow(std::optional<postgres::Source> source) override {
        follows = source ? source->name : "";
        co_return Result<>{};
    }
    Task<Result<Divergence>> compare_history(Member, ServerState) override { co_return divergence; }
    Task<Result<std::string>> system_identifier_of(Member source) override {
        const auto found = all_.by_name.find(source.name);
        if (found == all_.by_name.end() || !found->second->running || !found->second->answers_replication)
            co_return fail(Errc::unavailable, "it does not answer");
        co_return (co_await found->second->observe({})).system_identifier;
    }
    Task<Result<>> rewind(Member) override {
        ++rewinds;
        if (rewind_breaks) {
            damaged = true;
            co_return fail(Errc::process_failed, "the connection to the leader broke");
        }
        divergence = {};
        co_return Result<>{};
    }
    Task<Result<>> recover_single_user() override { co_return Result<>{}; }
    Task<Result<>> apply_configuration(std::string, bool) override { co_return Result<>{}; }
    std::vector<Slot> slots{};  ///< physical ones
    std::vector<Slot>::iterator slot(const std::string& name) { return std::ranges::find(slots, name, &Slot::name); }
    Task<Result<>> create_slot(std::string name) override {
        Slot made;
        made.name = std::move(name);
        made.restart_lsn = position;
        slots.push_back(made);
        co_return Result<>{};
    }
    Task<Result<>> drop_slot(std::string name) override {
        std::erase_if(slots, [&](const Slot& slot) { return slot.name == name; });
        co_return Result<>{};
    }
    Task<Result<>> advance_slot(std::string name, std::string, Lsn to) override {
        if (const auto own = slot(name); own != slots.end()) own->restart_lsn = to;
        co_return Result<>{};
    }
    Task<Result<>> create_logical_slot(std::string, std::string, std::string) override { co_return Result<>{}; }
    Task<Result<std::vector<postgres::PrimarysSlot>>> slots_of(Member, std::vector<std::string>, bool) override {
        co_return std::vector<postgres::PrimarysSlot>{};
    }
    Task<Result<>> install_slots(std::vector<postgres::PrimarysSlot>) override { co_return Result<>{}; }
    Task<Result<>> force_hot_standby_feedback(bool) override { co_return Result<>{}; }
    Task<Result<std::vector<HistoryEntry>>> timeline_history(Timeline) override { co_return history_; }
    postgres::Server::Divergence divergence{};  ///< what a comparison of histories finds
    std::vector<postgres::LostWal> kept{};      ///< what was to be kept of it
    Result<KeptWal> keeps = KeptWal{"/kept", 16777216, true};
    bool can_rewind = false, rewind_breaks = false, removes_after_rewind_failure = false;
    int rewinds = 0;
    bool answers_replication = true, removes = true;
    int removals_tried = 0;
    Task<Result<KeptWal>> keep_lost_wal(postgres::LostWal lost) override {
        kept.push_back(lost);
        co_return keeps;
    }
    int installed = 150020;
    Task<int> installed_version(Deadline) override { co_return installed; }
    Abilities abilities() const override {
        Abilities abilities;
        abilities.has_bootstrap_section = true;
        abilities.can_rewind = can_rewind;
        abilities.remove_data_on_rewind_failure = removes_after_rewind_failure;
        return abilities;
    }

  private:
    const FakeServer* streaming_from() const {
        const auto found = all_.by_name.find(follows);
        if (!running || as_primary || found == all_.by_name.end()) return nullptr;
        const FakeServer* source = found->second;
        return source->running && (source->as_primary || source->streaming_from()) ? source : nullptr;
    }

    FakeServers& all_;
    std::string name_;
    bool clean_ = false;
    std::vector<HistoryEntry> history_;
    std::function<void()> on_exit_;
};

/// The other nodes as they would answer.
class FakePeers final : public cluster::Peers {
  public:
    explicit FakePeers(FakeServers& servers) : servers_(servers) {}
    std::map<std::string, Tags> tags;

    Task<PeerStatus> probe(Member member, Deadline deadline) override {
        PeerStatus status;
        status.name = member.name;
        const auto found = servers_.by_name.find(member.name);
        if (found == servers_.by_name.end()) co_return status;
        const ServerState state = co_await found->second->observe(deadline);
        status.reachable = state.running();
        status.in_recovery = state.in_recovery;
        status.timeline = state.timeline;
        status.position = state.position();
        status.system_identifier = state.system_identifier;
        status.tags = member.tags;
        co_return status;
    }

    Task<cluster::FailsafeAnswer> ask_failsafe(std::string name, std::string, cluster::FailsafeCall call,
                                               Deadline) override {
        const auto found = servers_.nodes.find(name);
        if (found == servers_.nodes.end()) co_return cluster::FailsafeAnswer{};
        const auto answer = found->second->accept_failsafe(call);
        co_return cluster::FailsafeAnswer{answer.status == 200, answer.text, found->second->last().server.position()};
    }

  private:
    FakeServers& servers_;
};

class NoScripts final : public agent::Scripts {
  public:
    void call(agent::Callback, Role) override {}
    Task<Result<>> pre_promote() override { co_return Result<>{}; }
};

/// A node with everything it needs, its API included.
struct FakeNode {
    FakeNode(EventLoop& loop, MemoryEtcd& etcd, FakeServers& servers, const std::string& name,
             config::AgentConfig config, const std::string& dynamic)
        : store(etcd),
          server(servers, name),
          peers(servers),
          node({loop.context.get_executor(), loop.clock, store, server, peers, scripts},
               cluster::Keys{"/service/demo/"}, identity(name, config), dynamic),
          api({node, server, loop.clock, store, peers, [this] { ++reloads; }}, config) {
        servers.nodes[name] = &node;
    }

    static agent::Identity identity(const std::string& name, const config::AgentConfig& config) {
        agent::Identity identity;
        identity.name = name;
        identity.scope = "demo";
        identity.id = name + "/1";
        identity.tags = config.tags;
        identity.published_tags = config.published_tags;
        identity.conn_url = "postgres://127.0.0.1:5432/postgres";
        identity.api_url = "http://127.0.0.1:8008/patroni";
        identity.version = patroni_version();
        return identity;
    }

    MemoryStore store;
    FakeServer server;
    FakePeers peers;
    NoScripts scripts;
    int reloads = 0;
    agent::Node node;
    agent::rest::RestApi api;
};

/// To be spawned; counts who has ended, because coroutines may not outlive their nodes.
inline Task<> run_node(agent::Node& node, int& ended) {
    (void)co_await node.run();
    ++ended;
}

}  // namespace pgkeel::test
