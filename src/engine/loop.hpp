#pragma once
#include "base/clock.hpp"
#include "base/result.hpp"
#include "pool/wire.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel::engine {

/// Where to connect to or to listen: a TCP address ("192.0.2.1", "::1"; no names, they are resolved elsewhere) and
/// port, or the path of a unix socket.
struct Endpoint {
    std::string host;  ///< an address; begins with '/' or '@': the path of a unix socket, the port not counted
    std::uint16_t port = 0;
    bool is_unix() const { return host.starts_with('/') || host.starts_with('@'); }
};

struct SocketOptions {
    bool keepalive = true;
    int keepalive_count = 0, keepalive_idle_s = 0, keepalive_interval_s = 0;  ///< 0: the system's
    int user_timeout_ms = 0;                                                  ///< TCP_USER_TIMEOUT; 0: the system's
    int buffer_bytes = 0;                                                     ///< SO_SNDBUF, SO_RCVBUF; 0: the system's
};

/// A connection between two loops: off the one, not yet on the other. Closes the socket if it is dropped. May be moved
/// between threads; an engine attaches what an engine of its own kind has detached.
class LooseWire {
  public:
    struct State;
    explicit LooseWire(std::unique_ptr<State> state);
    LooseWire(LooseWire&&) noexcept;
    LooseWire& operator=(LooseWire&&) noexcept;
    ~LooseWire();

    std::unique_ptr<State> take();
    /// Its socket, where that is all there is of the connection: no TLS, no byte received or put that is still here.
    /// -1: there is more. The socket stays in here.
    int plain_socket() const;
    /// The same, to be copied for another process.
    int share() const;

  private:
    std::unique_ptr<State> state_;
};

/// What a loop has counted since it was made.
struct LoopCounters {
    std::uint64_t turns = 0;
    std::uint64_t accepted = 0;
    std::uint64_t accept_pauses = 0;    ///< the process or the machine had no descriptor for a new client
    std::uint64_t linger_timeouts = 0;  ///< closed wires whose peers did not take the rest in time
    std::uint64_t batches = 0;          ///< system calls that sent for several wires
    std::uint64_t batched = 0;          ///< sends in them
    std::uint64_t batch_failures = 0;   ///< the kernel has refused one: each wire is on its own since
};

/// One thread's events: sockets, timers, jobs of other threads. Everything but post() and stop() is for the thread that
/// runs it (or before it runs, or after). Close the wires before the loop goes.
class Loop {
  public:
    using Job = std::move_only_function<void()>;

    /// Which system calls carry the bytes.
    enum class Kind {
        epoll,     ///< one for each receive and each send
        io_uring,  ///< one for each receive, and one for all sends of a turn
    };
    /// Errors: io_error; unavailable — io_uring alone: it is not there, or forbidden.
    static Result<std::unique_ptr<Loop>> create(Kind kind = Kind::epoll);
    virtual ~Loop() = default;

    virtual void run() = 0;
    /// run() returns after its present turn. From any thread.
    virtual void stop() = 0;
    /// Runs `job` on the loop's thread. From any thread.
    virtual void post(Job job) = 0;
    /// Runs `work` on one of a few helper threads, then `done` here: for PBKDF2, DNS, files.
    virtual void offload(Job work, Job done) = 0;

    /// When this turn began: no system call.
    virtual Instant now() const = 0;
    /// Runs `job` here after `wait`, once. Returns a number that is never 0.
    virtual std::uint64_t after(Duration wait, Job job) = 0;
    virtual void cancel(std::uint64_t timer) = 0;

    /// Takes over a connected socket, wherever it comes from.
    virtual pool::OwnedWire adopt(int socket, pool::WireOwner& owner, const SocketOptions& options) = 0;
    /// Takes over one that a listening socket has accepted which open_listener() or prepare_listener() made ready: for
    /// clients who come for one transaction, every system call counts.
    virtual pool::OwnedWire adopt_accepted(int socket, bool unix_socket, pool::WireOwner& owner,
                                           const SocketOptions& options) = 0;
    /// Begins to connect; connected() or closed() follow, never from inside the call.
    virtual pool::OwnedWire connect(const Endpoint& to, pool::WireOwner& owner, const SocketOptions& options) = 0;

    /// Takes a wire off this loop, with what it received and its owner has not used: for the loop of another thread.
    /// From inside its own received() everything that was shown counts as used. A wire whose handshake is under way
    /// cannot move: its new owner is told that it is closed. Reading is on after attach().
    virtual LooseWire detach(pool::OwnedWire wire) = 0;
    virtual pool::OwnedWire attach(LooseWire wire, pool::WireOwner& owner) = 0;

    /// Calls `accepted` with the socket of each new client (non-blocking, close-on-exec) until the number is given to
    /// stop_listening(). When the process has no descriptors left, it waits a little and does not spin.
    virtual std::uint64_t listen(int listening_socket, std::function<void(int socket)> accepted) = 0;
    /// The socket stays open: it belongs to the caller.
    virtual void stop_listening(std::uint64_t listener) = 0;

    /// On the loop's thread, as everything else.
    virtual LoopCounters counters() const = 0;
};

/// A listening socket. With `share` several may listen on one port (SO_REUSEPORT), and the kernel spreads the clients.
/// A unix socket replaces a stale one, whose owner is gone. Errors: already_exists, somebody listens there; io_error.
struct ListenOptions {
    int backlog = 128;
    bool share = false;
    int defer_accept_s = 0;  ///< TCP_DEFER_ACCEPT: wake up for clients that have sent something
    int unix_mode = 0777;
    std::string unix_group = {};
};
Result<int> open_listener(const Endpoint& at, const ListenOptions& options);
/// Of TCP: what it accepts has TCP_NODELAY and SO_KEEPALIVE on (Linux: the listening socket's options are inherited).
void prepare_listener(int listening_socket);

/// Blocking: for Loop::offload. Addresses of a host name, in the resolver's order. Errors: not_found, unavailable.
Result<std::vector<std::string>> resolve_host(const std::string& host);

}  // namespace pgkeel::engine
