#pragma once
#include "pool/cancel_call.hpp"
#include "pool/client.hpp"
#include "pool/hub.hpp"
#include "pool/server.hpp"
#include "pool/stats.hpp"
#include "pool/surroundings.hpp"

#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pgkeel::pool {

/// The sessions of one thread.
class Worker {
  public:
    Worker(WorkerId id, Hub& hub, Surroundings& surroundings) : id_(id), hub_(hub), surroundings_(surroundings) {}

    /// A client that has just connected.
    Client& accept(const config::Listener& listener, std::move_only_function<OwnedWire(WireOwner&)> wire);

    // ---- for the sessions
    WorkerId id() const { return id_; }
    Hub& hub() { return hub_; }
    Surroundings& around() { return surroundings_; }
    Instant now() const { return surroundings_.now(); }
    /// Does what the book has ordered, here or on the thread whose job it is. Not under the mutex.
    void carry_out(Orders& orders);
    Stats& stats(const PoolRecord& pool);
    Stats& console_stats() { return console_stats_; }
    SharedSettings& shared_settings() { return shared_settings_; }
    /// A server of this pool has taken these settings once, so the next will, too.
    bool is_proven(const PoolRecord& pool, const Settings& settings) const;
    void prove(const PoolRecord& pool, const Settings& settings);
    /// Ends the life of a session after this turn.
    void bury(Client& client);
    void bury(Server& server);
    /// Why nobody can have a server of this pool, if that is so. Under the hub's mutex.
    std::optional<pgwire::backend::Report> refusal(const PoolRecord& pool) const;
    /// Tells the client, wherever it is, that it gets no server.
    void refuse(ClientRef client, const pgwire::backend::Report& why);
    /// The setting is a part of a session that we carry from server to server.
    bool tracks(std::string_view name) const;
    /// Sends a cancel request for `client` to the server that it is linked with. `asker`, whose connection asked for
    /// it, is closed when that is done.
    void cancel(ClientRef client, ClientRef asker);
    /// A cancel request for a client of another process, who has its key.
    void pass_on(const config::PeerEntry& peer, std::uint32_t first, std::string_view rest, ClientRef asker);

    // ---- for another process (worker_handover.cpp)
    /// From now on each session departs as soon as nothing is under way in it; or no longer.
    void set_leaving(bool leaving) { leaving_ = leaving; }
    bool is_leaving() const { return leaving_; }
    /// Those that can go now do.
    void offer_all();
    void offer_later(ClientRef client);
    void offer_later(ServerId server);
    /// What a session of another process comes with. `confirm` is asked when nothing can fail any more, and before a
    /// byte is read; false: the session is somebody else's still.
    struct Arrival {
        Surroundings::Attach client, server;
        std::move_only_function<bool()> confirm = [] { return true; };
        bool stays = false;  ///< it has come back, and is not to be offered again
    };
    /// Goes on with a session. Errors, and then nothing has happened: not_found, denied, conflict — it cannot be taken;
    /// unavailable — not now; cancelled — it was not confirmed.
    Result<> admit(const SessionImage& image, const config::Listener& listener, Arrival arrival);
    /// A cancel request that has come to another process; Surroundings::cancelled tells that it is done. False: its
    /// client is not here.
    bool cancel(std::uint64_t key, std::uint32_t asker);
    /// Whose cancel request is done, wherever it came in.
    void dismiss(ClientRef asker);

    // ---- once in a while
    /// Timeouts, lifetimes, spare servers.
    void maintain();
    /// Those who wait may get what could not be had before.
    void serve_waiters();
    void set_config(std::shared_ptr<const config::PoolerConfig> config) { config_ = std::move(config); }
    const config::PoolerConfig& config() const { return *config_; }

    void cancel_is_over(const CancelCall& call);

    template <class F>
    void each_client(F visit) {
        for (const auto& client : clients_)
            if (client.session) visit(*client.session);
    }
    template <class F>
    void each_server(F visit) {
        for (const auto& [id, server] : servers_) visit(*server);
    }
    template <class F>
    void each_cancel(F visit) {
        for (const auto& call : cancels_) visit(*call);
    }
    Client* client(ClientRef ref);
    Server* server(ServerId id);
    const std::unordered_map<std::uint32_t, Stats>& all_stats() const { return stats_; }

  private:
    void perform(const Order& order, bool late);
    void open(const Order& order);
    void link(const Order& order, bool late);
    void close(const Order& order);
    void move(const Order& order);
    void arrive(std::unique_ptr<Server> server, const Order& order, Surroundings::Attach attach);
    void cancel_here(ClientRef client, ClientRef asker);
    Client& make_client(const config::Listener& listener);
    void order_burial();
    bool offer(Client& client);
    bool offer(Server& server);
    void offer_servers(const PoolRecord* pool);
    struct Places;
    ServerImage image_of(const Server& server) const;
    Result<Places> find_places(const SessionImage& image);
    void know_welcome(PoolRecord& pool, const std::vector<Setting>& reported);
    void maintain_client(Client& client);
    void maintain_server(Server& server);
    void maintain_pools(Orders& orders);
    void retire(Server& server, bool old, Orders& orders);
    std::string describe(const Client& client);

    struct Place {
        std::unique_ptr<Client> session;
        std::uint32_t uses = 0;
    };
    WorkerId id_;
    Hub& hub_;
    Surroundings& surroundings_;
    std::shared_ptr<const config::PoolerConfig> config_;
    std::vector<Place> clients_;
    std::vector<std::uint32_t> free_places_;
    std::unordered_map<ServerId, std::unique_ptr<Server>> servers_;
    std::vector<std::unique_ptr<CancelCall>> cancels_;
    std::unordered_map<std::uint32_t, Stats> stats_;  ///< by pool
    Stats console_stats_;
    SharedSettings shared_settings_;
    std::vector<std::pair<PoolId, Settings>> proven_;
    std::vector<std::unique_ptr<Client>> dead_clients_;
    std::vector<std::unique_ptr<Server>> dead_servers_;
    bool burial_ordered_ = false;
    bool leaving_ = false;
};

}  // namespace pgkeel::pool
