#pragma once
#include "config/pooler.hpp"
#include "engine/socket.hpp"
#include "proxy/thread.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::proxy {

/// The sockets where clients come in. Opened before the threads run; whatever else is done to them happens while those
/// rest.
class Listeners {
  public:
    using Threads = std::vector<std::unique_ptr<Thread>>;
    /// A listening socket of the process before us.
    struct Inherited {
        engine::Endpoint at;
        Descriptor socket;
    };

    explicit Listeners(const Threads& threads) : threads_(threads) {}

    /// Opens those of the configuration, but for those that were inherited. Nobody is accepted yet. Errors:
    /// already_exists, io_error, not_found.
    Result<> open(const config::PoolerConfig& config, std::vector<Inherited> inherited);
    void start();
    /// Nobody is accepted; whoever comes waits in the kernel.
    void rest();
    void close(bool unix_socket, bool tcp);
    /// Another process has the same sockets, and their files are its own.
    void leave();

    /// One for each socket. They stay ours.
    struct Known {
        engine::Endpoint at;
        int socket = -1;
    };
    std::vector<Known> sockets() const;
    /// One that is equal to this, for as long as the process lives. From any thread.
    const config::Listener& find(const config::Listener& wanted);

  private:
    struct Socket {
        engine::Endpoint at;
        Descriptor socket;
        const config::Listener* listener = nullptr;
    };
    struct Started {
        Thread* thread = nullptr;
        std::uint64_t number = 0;
        const Socket* socket = nullptr;
    };
    Result<> open(const config::Listener& listener, const config::PoolerSettings& settings);
    Result<> open_unix_socket(const config::PoolerSettings& settings);
    bool inherit(const engine::Endpoint& at, const config::Listener& listener);
    void start(const Socket& socket, Thread& thread);
    void stop(const Socket& socket);

    const Threads& threads_;
    std::mutex finding_;
    std::vector<std::unique_ptr<config::Listener>> listeners_;
    std::vector<std::unique_ptr<Socket>> sockets_;
    std::vector<Started> started_;
    std::vector<Inherited> inherited_;
    std::size_t next_thread_ = 0;
};

}  // namespace pgkeel::proxy
