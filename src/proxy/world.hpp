#pragma once
#include "config/pooler.hpp"
#include "console/command.hpp"
#include "console/facts.hpp"
#include "engine/tls.hpp"
#include "pool/hub.hpp"
#include "proxy/cancel_relay.hpp"
#include "proxy/console_session.hpp"
#include "proxy/listeners.hpp"
#include "proxy/options.hpp"
#include "proxy/predecessor.hpp"
#include "proxy/signals.hpp"
#include "proxy/successor.hpp"
#include "proxy/thread.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel::proxy {

struct TlsContexts {
    engine::TlsContext client_side, server_side;  ///< null: off
};
/// Errors: invalid_input.
Result<TlsContexts> load_tls(const config::PoolerSettings& settings);

/// Everything of the process that more than one thread has to do with. What changes it — a reload, a command — runs on
/// the first thread while the others rest between two turns, so sessions read it without a lock.
class World {
  public:
    World(std::shared_ptr<const config::PoolerConfig> config, std::shared_ptr<const pool::Access> access,
          TlsContexts tls, Options options, auth::MockVerifiers mocks);
    ~World();

    /// Makes the threads and the listening sockets. Errors: already_exists, io_error, not_found.
    /// \param predecessor  whose sockets we get; null: nobody's
    Result<> prepare(std::unique_ptr<Predecessor> predecessor);
    /// Accepts clients from now on; with a predecessor that is the point of no return. Errors: it serves on.
    Result<> begin();
    /// Until the process shall end. Returns its exit status.
    int run(Signals& signals);

    pool::Hub& hub() { return hub_; }
    Thread& thread(pool::WorkerId id) { return *threads_[id]; }
    const std::vector<std::unique_ptr<Thread>>& threads() const { return threads_; }
    const TlsContexts& tls() const { return tls_; }
    const Options& options() const { return options_; }

    /// From any thread: runs `job` on the first one, with the others at rest.
    void alone(std::move_only_function<void()> job);

    /// Of a console; ConsoleSession::answer follows on its thread.
    void run_command(pool::ClientRef who, console::Command command);
    void give_up_waiting(pool::ClientRef who);
    console::Counters averages_of(const std::string& database) const;
    bool is_suspended() const { return suspended_; }
    void set_suspended(bool suspended) { suspended_ = suspended; }

    /// Called when the files have been read again: on the first thread, with the others at rest.
    void when_reloaded(std::function<void()> on_reload) { on_reload_ = std::move(on_reload); }

    // ---- an online restart (world_handover.cpp)
    /// What listens beside the clients' sockets and can be had by one process only.
    struct Beside {
        std::function<void()> start, stop;
    };
    void set_beside(Beside beside) { beside_ = std::move(beside); }
    void start_beside() { beside_.start(); }
    Listeners& listeners() { return listeners_; }
    Successor& successor() { return successor_; }
    CancelRelay& cancels() { return cancels_; }
    /// A neighbour's request, from any thread: CancelRelay::done or pass_on follows.
    void cancel(std::uint32_t number, std::uint64_t key);
    /// A session goes on here. From any thread.
    void take_back(Departing departing, bool stays);
    // With the threads at rest:
    /// Why nobody can take over now; empty: somebody can.
    std::string obstacle_to_successor() const;
    void rest_for_successor();
    void serve_again();
    void look_at_successor();
    /// The predecessor has its service again: end, and touch nothing that is its own.
    void give_up();

  private:
    friend class Commands;
    void rest_and_run(std::move_only_function<void()>& job);
    void stop_listening(bool unix_socket, bool tcp);
    void wait_for_successor();
    void continue_state(const handover::Go& state);
    bool has_clients() const;
    void dismiss(pool::ClientRef asker);
    void take_signal(int signal);
    void shut_down(pool::Phase phase);
    void end_if_over();
    void look_at_waiting_commands();
    void count_averages();
    void use(std::shared_ptr<const config::PoolerConfig> config);
    Result<> load_tls_of(const config::PoolerConfig& config);
    void answer(pool::ClientRef who, CommandResult result);
    void end();

    struct Waiting {
        pool::ClientRef who;
        std::function<bool()> is_over;
    };
    struct Counted {
        console::Counters before, averages;
    };

    Options options_;
    TlsContexts tls_;
    pool::Hub hub_;
    std::vector<std::unique_ptr<Thread>> threads_;
    Listeners listeners_{threads_};
    CancelRelay cancels_{[this](pool::ClientRef asker) { dismiss(asker); }};
    Successor successor_{*this};
    std::unique_ptr<Predecessor> predecessor_;
    Beside beside_;
    std::function<void()> on_reload_;
    std::vector<Waiting> waiting_;
    std::map<std::string, Counted> counted_;
    Instant counted_at_{};
    int status_ = 0;
    bool suspended_ = false, ending_ = false, looking_ = false;
    bool sockets_are_ours_ = true;  ///< and their files; else another process has them as well
};

}  // namespace pgkeel::proxy
