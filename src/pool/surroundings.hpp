#pragma once
#include "base/clock.hpp"
#include "pool/book.hpp"
#include "pool/parameters.hpp"
#include "pool/session_image.hpp"
#include "pool/wire.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// What the sessions of one thread need of the process around them. The proxy implements it with the engine, tests in
// memory.

namespace pgkeel::pool {

class Client;
class Worker;

/// A client's side of the admin console.
class Console {
  public:
    virtual ~Console() = default;
    /// The ParameterStatus that its session begins with.
    virtual std::vector<Setting> greeting() const = 0;
    /// A whole message of a client that has logged in. Answers go to the client's wire.
    virtual void message(char type, std::string_view body) = 0;
    /// It works on a command; no other message until then. It starts the wire's reading again itself.
    virtual bool busy() const = 0;
    /// A cancel request: a command that waits is given up.
    virtual void interrupt() = 0;
};

/// In a ClientRef: of a client whose connection is not in this process.
inline constexpr WorkerId other_process = 0xffff;

class Surroundings {
  public:
    using Job = std::move_only_function<void()>;
    virtual ~Surroundings() = default;

    virtual Instant now() const = 0;
    virtual WallTime wall_now() const = 0;
    /// Runs `work` on another thread, then `done` on this one.
    virtual void offload(Job work, Job done) = 0;
    /// Runs `job` here after `wait`.
    virtual void after(Duration wait, Job job) = 0;
    /// Runs `job` on the thread of `worker`, also when that is this one: never from inside the call.
    virtual void post(WorkerId worker, std::move_only_function<void(Worker&)> job) = 0;

    /// \param host  a name, an address, or the directory of a unix socket. `done` gets an address or the socket's path.
    virtual void resolve(const std::string& host, std::uint16_t port,
                         std::move_only_function<void(Result<std::string>)> done) = 0;
    /// \param address  what resolve() has found
    virtual OwnedWire connect(const std::string& address, std::uint16_t port, WireOwner& owner) = 0;
    /// Takes the wire off this thread; `arrived` runs on the other one and attaches it there.
    using Attach = std::move_only_function<OwnedWire(WireOwner&)>;
    virtual void hand_over(OwnedWire wire, WorkerId to, std::move_only_function<void(Worker&, Attach)> arrived) = 0;

    /// A session leaves this process, with its connections. Where it is not taken it comes back by Worker::admit.
    virtual void depart(SessionImage image, OwnedWire client, OwnedWire server) = 0;
    /// A cancel request for a client that is not known here: one that has left, or has not come yet. False: there is no
    /// other process to ask; else `asker` is dismissed when it has answered.
    virtual bool cancel_elsewhere(std::uint64_t key, ClientRef asker) = 0;
    /// A cancel request of another process is done: the one whose asker has this number there.
    virtual void cancelled(std::uint32_t asker) = 0;

    /// Null: TLS is off on that side.
    virtual std::shared_ptr<ssl_ctx_st> client_tls() const = 0;
    virtual std::shared_ptr<ssl_ctx_st> server_tls() const = 0;
    virtual std::unique_ptr<Console> open_console(Client& client) = 0;
};

}  // namespace pgkeel::pool
