#pragma once
#include "base/clock.hpp"
#include "proxy/handover_frames.hpp"

#include <mutex>
#include <optional>
#include <string>

namespace pgkeel::proxy {

/// The connection between two processes, with calls that block: it is used by threads of its own. Descriptors travel as
/// SCM_RIGHTS beside the first bytes of their frame (unix(7)).
class HandoverChannel {
  public:
    explicit HandoverChannel(Descriptor socket) : socket_(std::move(socket)) {}

    /// Connects to the process that listens there. Errors: not_found — nobody does; denied — it belongs to another
    /// user; unavailable.
    static Result<HandoverChannel> connect(const std::string& path);
    /// Another process has connected to us. Errors: denied — it belongs to another user; unavailable.
    static Result<HandoverChannel> accept(int listening_socket);

    HandoverChannel(HandoverChannel&& other) noexcept
        : socket_(std::move(other.socket_)), received_(std::move(other.received_)) {}

    /// From any thread, whole frames. Errors: timed_out and unavailable, and then no other frame can follow.
    Result<> send(const HandoverFrame& frame, Duration within);
    /// One thread. Nothing: the other side has closed it. Errors: timed_out; invalid_input; unavailable.
    Result<std::optional<HandoverFrame>> receive(std::optional<Duration> within);
    /// Nothing is sent or received any more, on either side. From any thread.
    void shut() const;

  private:
    Result<bool> fill(char* into, std::size_t bytes, Deadline deadline);

    std::mutex sending_;
    Descriptor socket_;
    std::vector<Descriptor> received_;  ///< whose frames are not whole yet
};

}  // namespace pgkeel::proxy
