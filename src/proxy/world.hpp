#pragma once
#include "config/pooler.hpp"
#include "console/command.hpp"
#include "console/facts.hpp"
#include "engine/tls.hpp"
#include "pool/hub.hpp"
#include "proxy/console_session.hpp"
#include "proxy/options.hpp"
#include "proxy/signals.hpp"
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
    Result<> prepare();
    /// Until the process shall end.
    void run(Signals& signals);

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

  private:
    friend class Commands;
    void rest_and_run(std::move_only_function<void()>& job);
    Result<> listen();
    Result<> listen_on(const config::Listener& listener);
    Result<> listen_on_unix_socket();
    void stop_listening(bool unix_socket, bool tcp);
    void take_signal(int signal);
    void shut_down(pool::Phase phase);
    void end_if_over();
    void look_at_waiting_commands();
    void count_averages();
    void use(std::shared_ptr<const config::PoolerConfig> config);
    Result<> load_tls_of(const config::PoolerConfig& config);
    void answer(pool::ClientRef who, CommandResult result);
    void end();

    struct Listening {
        pool::WorkerId thread = 0;
        std::uint64_t number = 0;
        int socket = -1;
        std::string path;  ///< of a unix socket
    };
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
    std::vector<config::Listener> listeners_;
    config::Listener unix_listener_;
    std::vector<Listening> listening_;
    std::vector<Waiting> waiting_;
    std::map<std::string, Counted> counted_;
    Instant counted_at_{};
    std::size_t next_thread_ = 0;
    bool suspended_ = false, ending_ = false, looking_ = false;
};

}  // namespace pgkeel::proxy
